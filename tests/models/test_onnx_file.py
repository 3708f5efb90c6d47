"""The ONNX file of a bundle: the same answers as torch, or a clear refusal."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from marrowmap.data.errors import SettingsError
from marrowmap.data.model_input import CHANNELS, ModelInputSettings
from marrowmap.models.bundle import Bundle, BundleDescription, save_bundle
from marrowmap.models.convert import load_network, plain_settings
from marrowmap.models.onnx_file import require_onnx, write_onnx
from marrowmap.models.unet import UNetSettings, build_unet

HAS_ONNX = all(find_spec(name) is not None for name in ("onnx", "onnxscript", "onnxruntime"))
SIDES = (16, 16, 24)


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    torch.manual_seed(0)
    settings = UNetSettings(features=(8, 16, 16))
    description = BundleDescription(
        name="toy",
        version="1",
        input=ModelInputSettings(),
        network=plain_settings(settings),
        patch_size=SIDES,
        lesion_threshold=0.4,
        trained_on="nothing",
        intended_use="Tests.",
    )
    return save_bundle(tmp_path / "bundle", build_unet(settings).eval(), description)


@pytest.mark.skipif(not HAS_ONNX, reason="needs the extra [onnx]")
def test_onnx_gives_the_logits_of_torch(bundle: Bundle) -> None:
    import onnxruntime

    path = write_onnx(bundle)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    patch = np.random.default_rng(0).random((1, len(CHANNELS), *SIDES), dtype=np.float32)
    (found,) = session.run(None, {"image": patch})
    with torch.no_grad():
        expected = load_network(bundle)(torch.from_numpy(patch)).numpy()
    np.testing.assert_allclose(np.asarray(found), expected, atol=1e-4)
    said = session.get_modelmeta().custom_metadata_map
    assert said["sha256"] == bundle.sha256
    assert said["outputs"].startswith("lesion,background,")


def test_without_the_packages_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("marrowmap.models.onnx_file.find_spec", lambda name: None)
    with pytest.raises(SettingsError, match=r"found no onnx and no onnxscript; run: pip install"):
        require_onnx()
