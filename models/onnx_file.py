"""A bundle's network for other programs: one ONNX file with the same weights and its meaning written in."""

from __future__ import annotations

import logging
import warnings
from importlib.util import find_spec
from pathlib import Path

from marrowmap.data.errors import SettingsError
from marrowmap.data.model_input import CHANNELS
from marrowmap.data.skeleton import Region
from marrowmap.models.bundle import Bundle

ONNX = "model.onnx"
#: Read by ONNX Runtime 1.14 and newer, TensorRT 8.6 and newer, OpenVINO 2023 and newer.
OPSET = 18


def require_onnx() -> None:
    """Refuse before any work is done if the packages that write ONNX are missing.

    Raises:
        SettingsError: If one is.
    """
    missing = [name for name in ("onnx", "onnxscript") if find_spec(name) is None]
    if missing:
        raise SettingsError(
            f"--onnx needs the packages onnx and onnxscript, found no {' and no '.join(missing)}; "
            "run: pip install 'marrowmap[onnx]'"
        )


def write_onnx(bundle: Bundle) -> Path:
    """Write `model.onnx` into a bundle.

    Input `image`: float32 `(1, c, i, j, k)` with the sides of the bundle's patch; output `logits`: float32
    `(1, 1 + regions, i, j, k)`. The file's own metadata names the channels, regions, threshold and the
    weights' sha256, so that it still says what it is when it is sent on alone.

    Raises:
        SettingsError: If the packages are missing.
    """
    require_onnx()
    import onnx
    import torch

    from marrowmap.models.convert import load_network

    path = bundle.folder / ONNX
    network, image = load_network(bundle), torch.zeros(1, len(CHANNELS), *bundle.patch_size)
    with warnings.catch_warnings(), torch.no_grad():
        # Shapes are fixed on purpose; what remains is torch's talk with itself.
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        torch.onnx.export(
            network,
            (image,),
            path,
            input_names=["image"],
            output_names=["logits"],
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    model = onnx.load(path)
    onnx.helper.set_model_props(model, _meaning(bundle))
    onnx.save(model, path)
    return path


def _meaning(bundle: Bundle) -> dict[str, str]:
    """Return what the file says of itself."""
    regions = ["background", *(region.key for region in Region)]
    return {
        "name": bundle.name,
        "version": bundle.version,
        "sha256": bundle.sha256,
        "channels": ",".join(channel.value for channel in CHANNELS),
        "outputs": ",".join(["lesion", *regions]),
        "spacing_mm": str(bundle.input.spacing_mm),
        "lesion_threshold": str(bundle.lesion_threshold),
        "trained_on": bundle.trained_on,
        "intended_use": bundle.intended_use,
    }
