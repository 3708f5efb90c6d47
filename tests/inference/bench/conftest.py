from pathlib import Path

import numpy as np
import pytest

from marrowmap.data.exam import Exam, Sequence, Volume
from marrowmap.data.nifti import write_exam_nifti
from marrowmap.models.bundle import Bundle


@pytest.fixture(scope="session")
def small_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A small random network with windows of 16 x 16 x 24 voxels of 5 mm."""
    import torch

    from marrowmap.data.model_input import ModelInputSettings
    from marrowmap.models.bundle import BundleDescription, save_bundle
    from marrowmap.models.convert import plain_settings
    from marrowmap.models.unet import UNetSettings, build_unet

    torch.manual_seed(1)
    network = UNetSettings(features=(8, 16, 16))
    description = BundleDescription(
        name="small",
        version="0.1",
        input=ModelInputSettings(spacing_mm=5.0),
        network=plain_settings(network),
        patch_size=(16, 16, 24),
        lesion_threshold=0.4,
        trained_on="nothing: random weights",
        intended_use="tests",
    )
    return save_bundle(tmp_path_factory.mktemp("bench") / "small", build_unet(network), description)


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A box of muscle, 160 x 120 x 240 mm, as NIfTI."""
    rng = np.random.default_rng(0)
    body = np.zeros((48, 36, 48), dtype=np.float32)
    body[4:44, 3:33, 1:47] = 100.0
    volumes = {
        sequence: Volume(
            array=np.abs(body + rng.normal(0, 2, body.shape)).astype(np.float32),
            affine_ras_mm=np.diag([4.0, 4.0, 5.0, 1.0]),
            b_value_s_per_mm2={Sequence.DWI_HIGH: 900.0, Sequence.DWI_LOW: 50.0}.get(sequence),
        )
        for sequence in (Sequence.DWI_HIGH, Sequence.DWI_LOW, Sequence.T1, Sequence.STIR)
    }
    folder = tmp_path_factory.mktemp("bench") / "study"
    write_exam_nifti(Exam(volumes=volumes), folder)
    return folder
