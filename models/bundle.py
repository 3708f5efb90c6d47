"""Weights, settings and provenance in one folder: saved whole, checked when loaded.

```
metadata.json       what the weights are, how their input is made, the sha256 of the weights
model.safetensors   float16, by parameter name: training, CUDA
model.xml model.bin the same weights for OpenVINO: CPU, without torch
model_card.md       for a person
```
The layout follows MONAI's bundles; the metadata is our own and loads without torch.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from marrowmap.data.errors import BundleError, SettingsError
from marrowmap.data.model_input import CHANNELS, ModelInputSettings
from marrowmap.data.skeleton import REGION_CHANNELS
from marrowmap.models.calibration import Calibration, calibration_from_json, calibration_to_json

if TYPE_CHECKING:
    import torch

FORMAT = "marrowmap-bundle/1"
METADATA, SAFETENSORS, OPENVINO_XML, OPENVINO_BIN, MODEL_CARD = (
    "metadata.json", "model.safetensors", "model.xml", "model.bin", "model_card.md",
)  # fmt: skip
WEIGHT_FILES = (SAFETENSORS, OPENVINO_XML, OPENVINO_BIN)
SHIPPED_FOLDER = Path(__file__).parent / "weights"


@dataclass(frozen=True, kw_only=True)
class BundleDescription:
    """What weights are and how they want their input.

    Attributes:
        name: For reports, e.g. `marrowmap-simulated`.
        version: Of the weights, not of the program.
        input: How an exam becomes the network's input.
        network: `UNetSettings` as plain values.
        patch_size: Window in voxels `(i, j, k)`; OpenVINO's model has exactly this shape.
        lesion_threshold: Probability from which a voxel is lesion, in (0, 1).
        trained_on: One sentence: how many exams, simulated or real.
        intended_use: One sentence for every report.
        calibration: What its scores are worth; None where nobody measured it.
    """

    name: str
    version: str
    input: ModelInputSettings
    network: Mapping[str, Any]
    patch_size: tuple[int, int, int]
    lesion_threshold: float
    trained_on: str
    intended_use: str
    calibration: Calibration | None = None

    def __post_init__(self) -> None:
        """Refuse what this program could not run.

        Raises:
            BundleError: If channels, patch or threshold do not fit.
        """
        channels = (self.network.get("channels_in"), self.network.get("regions"))
        if channels != (len(CHANNELS), REGION_CHANNELS):
            raise BundleError(
                f"need weights for {len(CHANNELS)} input and {REGION_CHANNELS} region channels, found "
                f"{channels[0]} and {channels[1]}; use a bundle of this version or train one"
            )
        if len(self.patch_size) != 3 or min(self.patch_size) < 1:
            raise BundleError(f"need a patch size of three positive numbers, found {self.patch_size}")
        if not 0.0 < self.lesion_threshold < 1.0:
            raise BundleError(f"need a lesion threshold between 0 and 1, found {self.lesion_threshold}")


@dataclass(frozen=True, kw_only=True)
class Bundle(BundleDescription):
    """A bundle on disk whose weights are what its metadata says.

    Attributes:
        folder: Where it is.
        sha256: Of the weight files together; names these weights in every report.
    """

    folder: Path
    sha256: str


def load_bundle(folder: Path | None = None) -> Bundle:
    """Read and check a bundle; imports no torch.

    Args:
        folder: The bundle; None for the one that ships with the program.

    Raises:
        BundleError: If it is missing, of another format or channel order, or damaged.
    """
    folder = SHIPPED_FOLDER if folder is None else folder
    metadata = _read_metadata(folder)
    found = weights_sha256(folder)
    if found != metadata.get("sha256"):
        raise BundleError(
            f"weights in {folder} are not those of its metadata: need sha256 {metadata.get('sha256')}, "
            f"found {found}; copy or export the bundle again"
        )
    return _bundle_of(folder, metadata)


def save_bundle(
    folder: Path, network: torch.nn.Module, description: BundleDescription, *, model_card: str = ""
) -> Bundle:
    """Write a network as a bundle: safetensors (float16), OpenVINO and metadata.

    Everything is made beside the folder first and moved at the end, metadata last: a bundle cut short
    is refused when loaded.

    Args:
        folder: Where; made if missing, an older bundle there is replaced.
        network: `(n, c, i, j, k)` to `(n, 1 + regions, i, j, k)`.
        description: What it is; its `network` must build this very module.
        model_card: Markdown for a person.
    """
    from marrowmap.models.convert import write_openvino, write_safetensors

    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as made:
        beside = Path(made)
        write_safetensors(network, beside / SAFETENSORS)
        shape = (1, len(CHANNELS), *description.patch_size)
        write_openvino(network, shape, beside / OPENVINO_XML)
        (beside / MODEL_CARD).write_text(model_card or _default_card(description), encoding="utf-8")
        _write_metadata(beside, description)
        for name in (*WEIGHT_FILES, MODEL_CARD, METADATA):
            shutil.move(beside / name, folder / name)
    return load_bundle(folder)


def revise_metadata(bundle: Bundle, **changes: Any) -> Bundle:
    """Write other metadata for the same weights, e.g. a calibrated `lesion_threshold`.

    Raises:
        BundleError: If a value does not fit.
    """
    fields = {field.name: getattr(bundle, field.name) for field in dataclasses.fields(BundleDescription)}
    _write_metadata(bundle.folder, BundleDescription(**(fields | changes)))
    return load_bundle(bundle.folder)


def load_state(bundle: Bundle) -> dict[str, torch.Tensor]:
    """Return the bundle's parameters by name, in float32, for `load_state_dict`.

    Raises:
        BundleError: If the file is damaged.
    """
    from marrowmap.models.convert import read_safetensors

    return read_safetensors(bundle.folder / SAFETENSORS)


def weights_sha256(folder: Path) -> str:
    """Return one hash over all weight files.

    Raises:
        BundleError: If one is missing.
    """
    digest = hashlib.sha256()
    for name in WEIGHT_FILES:
        try:
            content = (folder / name).read_bytes()
        except OSError as error:
            raise BundleError(f"need {name} in {folder}, found none; export the bundle again") from error
        digest.update(f"{name} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def _read_metadata(folder: Path) -> dict[str, Any]:
    path = folder / METADATA
    try:
        metadata = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BundleError(f"no weights in {folder}: need {METADATA}; name a bundle with --weights") from error
    except (OSError, ValueError) as error:
        raise BundleError(f"cannot read {path}: {error}; export the bundle again") from error
    found = metadata.get("format") if isinstance(metadata, dict) else None
    if found != FORMAT:
        raise BundleError(f"need a bundle of format {FORMAT}, found {found} in {path}; export it again")
    return metadata


def _bundle_of(folder: Path, metadata: Mapping[str, Any]) -> Bundle:
    """Build a bundle from its metadata, naming the key that does not fit."""
    channels = [channel.value for channel in CHANNELS]
    if metadata.get("channels") != channels:
        raise BundleError(f"need input channels {channels}, found {metadata.get('channels')}; train again")
    try:
        names = {field.name for field in dataclasses.fields(BundleDescription)} - {"calibration"}
        fields = {name: metadata[name] for name in names}
        fields["calibration"] = calibration_from_json(metadata.get("calibration"))
        fields["input"] = ModelInputSettings(**metadata["input"])
        fields["patch_size"] = tuple(int(side) for side in metadata["patch_size"])
        fields["lesion_threshold"] = float(metadata["lesion_threshold"])
        return Bundle(**fields, folder=folder, sha256=metadata["sha256"])
    except KeyError as error:
        raise BundleError(f"need {error} in {folder / METADATA}, found none; export it again") from error
    except (TypeError, ValueError, SettingsError) as error:
        raise BundleError(
            f"{folder / METADATA} does not fit this version: {error}; export it again"
        ) from error


def _write_metadata(folder: Path, description: BundleDescription) -> None:
    """Write `metadata.json` beside weight files that are already there."""
    metadata = {"format": FORMAT, **dataclasses.asdict(description)}
    metadata["calibration"] = calibration_to_json(description.calibration)
    metadata |= {"channels": [channel.value for channel in CHANNELS], "sha256": weights_sha256(folder)}
    (folder / METADATA).write_text(json.dumps(metadata, indent=2) + "\n", encoding="utf-8")


def _default_card(description: BundleDescription) -> str:
    return (
        f"# {description.name} {description.version}\n\n"
        f"Trained on: {description.trained_on}\n\nIntended use: {description.intended_use}\n"
    )
