"""From a run's checkpoint to a bundle that anyone can run, with its threshold and its model card."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml

from marrowmap.data.errors import BundleError, SettingsError
from marrowmap.data.model_input import ModelInputSettings
from marrowmap.data.seeds import VALIDATION_SEEDS, require_validation_seeds
from marrowmap.models.bundle import Bundle, BundleDescription, revise_metadata, save_bundle
from marrowmap.models.engine import open_engine
from marrowmap.models.monai_bundle import FOLDER as MONAI_FOLDER
from marrowmap.models.monai_bundle import write_monai_bundle
from marrowmap.models.onnx_file import ONNX, require_onnx, write_onnx
from marrowmap.models.unet import MarrowUNet, UNetSettings, build_unet
from marrowmap.training.annotated import read_split
from marrowmap.training.cache import ExamCache
from marrowmap.training.config import StreamSettings, TrainSettings, as_plain
from marrowmap.training.operating_point import MOST_FALSE_POSITIVES, OperatingPoint, choose_threshold, sweep
from marrowmap.training.prepare import ExamMaker, open_cache, prepare, simulated_exam
from marrowmap.training.run_folder import LAST_CHECKPOINT, ORIGIN_FILE

_log = logging.getLogger(__name__)

INTENDED_USE = "Research only. Not a medical device; every finding needs a radiologist's reading."


@dataclass(frozen=True, kw_only=True)
class ExportSettings:
    """What the bundle is called and how its threshold is chosen.

    Attributes:
        name: For reports.
        version: Of the weights.
        validation_exams: Simulated validation exams for the threshold; 0 keeps `lesion_threshold`. A run with
            annotated exams takes those that it held out instead, all of them.
        first_validation_seed: Seed of the first one.
        lesion_threshold: Probability from which a voxel is lesion, where none is chosen.
        threads: CPU threads for the validation exams; None for all.
        onnx: Write `model.onnx` into the bundle too, for programs of others.
        monai: Write the folder `monai` into the bundle too: a MONAI bundle for MONAI Label and 3D Slicer.
    """

    name: str = "marrowmap-simulated"
    version: str = "0.1.0"
    validation_exams: int = 4
    first_validation_seed: int = VALIDATION_SEEDS.start
    lesion_threshold: float = 0.5
    threads: int | None = None
    onnx: bool = False
    monai: bool = False

    def __post_init__(self) -> None:
        """Refuse seeds outside the validation set.

        Raises:
            SeedError: If one lies outside.
        """
        require_validation_seeds(self.validation_seeds)

    @property
    def validation_seeds(self) -> range:
        """Seeds of the validation exams."""
        return range(self.first_validation_seed, self.first_validation_seed + self.validation_exams)


def export(run: Path, out: Path, settings: ExportSettings, *, make: ExamMaker = simulated_exam) -> Bundle:
    """Write a run's averaged weights as a bundle and choose its threshold on validation exams.

    Args:
        run: Folder of the run.
        out: Folder of the bundle.
        settings: Name and threshold.
        make: Turns a seed into an exam.

    Raises:
        SettingsError: If the folder holds no run, or the packages that write ONNX are missing.
        BundleError: If the checkpoint does not fit its settings.
    """
    if settings.onnx:
        require_onnx()
    bundle = _with_threshold(run, out, settings, make)
    (out / ONNX).unlink(missing_ok=True)  # of an older bundle in this folder
    if settings.onnx:
        write_onnx(bundle)
    shutil.rmtree(out / MONAI_FOLDER, ignore_errors=True)
    if settings.monai:
        write_monai_bundle(bundle)
    return bundle


def _with_threshold(run: Path, out: Path, settings: ExportSettings, make: ExamMaker) -> Bundle:
    plain = read_run(run)
    own = read_split(run)
    network, steps = load_averaged(run, plain)
    origin_file = run / ORIGIN_FILE
    origin = json.loads(origin_file.read_text(encoding="utf-8")) if origin_file.is_file() else None
    description = describe_run(plain, steps, settings, annotated=len(own["training"]), origin=origin)
    # The product is for exams such as these: where some were held out, they alone choose the threshold.
    kind = "annotated" if own["validation"] else "simulated"
    card = model_card(description, plain, None, kind=kind)
    bundle = save_bundle(out, network, description, model_card=card)
    if not settings.validation_exams:
        return bundle
    points = validate(bundle, plain, settings, make, annotated=own["validation"])
    best = choose_threshold(points)
    _log.info("threshold %g: F1 %.3f over %d %s exams", best.threshold, best.f1, best.exams, kind)
    bundle = revise_metadata(bundle, lesion_threshold=best.threshold)
    text = json.dumps([vars(point) | {"f1": point.f1} for point in points], indent=2)
    (run / "operating_points.json").write_text(text + "\n", encoding="utf-8")
    (out / "model_card.md").write_text(model_card(bundle, plain, points, kind=kind), encoding="utf-8")
    return bundle


def read_run(run: Path) -> dict[str, Any]:
    """Return a run's settings as plain values.

    Raises:
        SettingsError: If the folder holds no run with a checkpoint.
    """
    path = run / "settings.yaml"
    if not path.is_file() or not (run / LAST_CHECKPOINT).is_file():
        raise SettingsError(f"need settings.yaml and {LAST_CHECKPOINT} in {run}; name the folder of a run")
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def load_averaged(run: Path, plain: Mapping[str, Any]) -> tuple[MarrowUNet, int]:
    """Return the run's network with its averaged weights, and the number of steps.

    Raises:
        BundleError: If the checkpoint does not fit the settings beside it.
    """
    checkpoint = torch.load(run / LAST_CHECKPOINT, map_location="cpu", weights_only=True)
    prefix = "network."
    state = {
        name.removeprefix(prefix): value
        for name, value in checkpoint["state_dict"].items()
        if name.startswith(prefix)
    }
    network = build_unet(UNetSettings(**_tuples(plain["network"])))
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise BundleError(
            f"{LAST_CHECKPOINT} does not fit settings.yaml in {run}; one was replaced"
        ) from error
    return network.eval(), int(checkpoint["global_step"])


def describe_run(
    plain: Mapping[str, Any],
    steps: int,
    settings: ExportSettings,
    *,
    annotated: int = 0,
    origin: Mapping[str, str] | None = None,
) -> BundleDescription:
    """Return what the bundle says of itself.

    Args:
        plain: Settings of the run.
        steps: Steps trained.
        settings: Name and version.
        annotated: Annotated exams that it trained on.
        origin: Weights that it started from, as `train.origin_of` writes them.
    """
    i, j, k = plain["stream"]["patch_size"]
    trained_on = _trained_on(plain["stream"], steps, annotated)
    if origin is not None:
        trained_on += f"; started from {origin['name']} {origin['version']} ({origin['trained_on']})"
    return BundleDescription(
        name=settings.name,
        version=settings.version,
        input=ModelInputSettings(**plain["model_input"]),
        network=as_plain(UNetSettings(**_tuples(plain["network"]))),
        patch_size=(i, j, k),
        lesion_threshold=settings.lesion_threshold,
        trained_on=trained_on,
        intended_use=INTENDED_USE,
    )


def _trained_on(stream: Mapping[str, Any], steps: int, annotated: int) -> str:
    first, count = stream["first_seed"], stream["exams"]
    simulated = f"{count} simulated exams (seeds {first} to {first + count - 1})"
    if not annotated:
        return f"{simulated}, {steps} steps; no patient"
    fold = "all" if stream["fold"] is None else f"all but fold {stream['fold']} of {stream['folds']}"
    own = f"{annotated} annotated exams ({fold})"
    return f"{own} and {simulated}, {steps} steps" if stream["simulated_weight"] else f"{own}, {steps} steps"


def validate(
    bundle: Bundle,
    plain: Mapping[str, Any],
    settings: ExportSettings,
    make: ExamMaker,
    *,
    annotated: Sequence[int] = (),
) -> list[OperatingPoint]:
    """Return what each threshold gives on the validation exams: the annotated ones where there are any."""
    seeds = list(annotated) or list(settings.validation_seeds)
    cache = cache_of_run(plain)
    if not annotated:  # annotated ones were prepared before the run began
        prepare(cache, seeds, bundle.input, make=make)
    engine = open_engine(bundle, "cpu", settings.threads)
    return sweep((cache.load(seed) for seed in seeds), engine)


def cache_of_run(plain: Mapping[str, Any]) -> ExamCache:
    """Return the cache that the run trained from."""
    stream = StreamSettings(cache=Path(plain["stream"]["cache"]))
    return open_cache(TrainSettings(stream=stream, model_input=ModelInputSettings(**plain["model_input"])))


def model_card(
    description: BundleDescription,
    plain: Mapping[str, Any],
    points: Sequence[OperatingPoint] | None,
    *,
    kind: str = "simulated",
) -> str:
    """Return the model card: what it is, what it learned from, what it reached, what it is not for."""
    lines = [
        f"# {description.name} {description.version}",
        "",
        "Lesion and skeletal-region segmentation of whole-body MRI.",
        "",
        f"- Trained on: {description.trained_on}.",
        f"- Intended use: {description.intended_use}",
        f"- Grid: {description.input.spacing_mm} mm isotropic; patch {description.patch_size} voxels.",
        "- Network: a U-Net of MONAI blocks at half resolution, "
        f"features {list(description.network['features'])}.",
        f"- Batch {plain['batch_size']}, highest learning rate {plain['optimiser']['learning_rate']}.",
        "",
        f"## Validation ({kind})",
        "",
        *(_points_table(points, kind) if points else ["Not measured."]),
        "",
        "Radiologist against radiologist on real myeloma diffusion MRI: Dice 0.32. Numbers on simulated",
        "exams say nothing yet of real people. Never to be read as: there is no myeloma.",
    ]
    return "\n".join(lines) + "\n"


def _points_table(points: Sequence[OperatingPoint], kind: str) -> list[str]:
    best = choose_threshold(points)
    rows = [
        f"Threshold {best.threshold:g}: it finds most lesions at {MOST_FALSE_POSITIVES:g} false positives an "
        f"exam or fewer, over {best.exams} {kind} exams.",
        "",
        "| threshold | lesions of 5 mm or more found | false positives an exam | F1 | lesion Dice |",
        "|---|---|---|---|---|",
    ]
    for point in points:
        false_positives = point.false_positives / max(point.exams, 1)
        rows.append(
            f"| {point.threshold:g} | {point.found}/{point.lesions} | {false_positives:.1f} "
            f"| {point.f1:.2f} | {point.lesion_dice:.2f} |"
        )
    return rows


def _tuples(plain: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in plain.items()}
