from pathlib import Path

import pytest

from marrowmap.models.bundle import Bundle


@pytest.fixture(scope="session")
def small_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle of a small random network with windows of 16 x 8 x 24 voxels."""
    import torch

    from marrowmap.data.model_input import ModelInputSettings
    from marrowmap.models.bundle import BundleDescription, save_bundle
    from marrowmap.models.convert import plain_settings
    from marrowmap.models.unet import UNetSettings, build_unet

    torch.manual_seed(1)
    network_settings = UNetSettings(features=(8, 16, 16))
    folder: Path = tmp_path_factory.mktemp("bundles") / "small"
    description = BundleDescription(
        name="small",
        version="0.1",
        input=ModelInputSettings(spacing_mm=3.0),
        network=plain_settings(network_settings),
        patch_size=(16, 8, 24),
        lesion_threshold=0.4,
        trained_on="nothing: random weights",
        intended_use="tests",
    )
    return save_bundle(folder, build_unet(network_settings), description)
