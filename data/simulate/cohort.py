"""Simulated exams on disk: the study, and what is true of it beside.

```
OUT/                    one exam; several go to OUT/exam_<seed>/
├── dicom/ or nifti/    the study, as a scanner or a converter would leave it
├── truth.json          seed, pattern, person, lesions
├── truth_lesions.nii.gz    instance labels, the ids of truth.json
└── truth_regions.nii.gz    skeletal regions
```
With a follow-up, each exam becomes two folders of that kind, `baseline/` and `follow_up/`; the truth of the
second also says what became of each lesion of the first.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Literal

import numpy as np

from marrowmap.data.errors import SettingsError
from marrowmap.data.nifti import write_exam_nifti, write_nifti
from marrowmap.data.simulate.dicom_study import DicomStyle, write_dicom_study
from marrowmap.data.simulate.dicom_vendors import VendorName
from marrowmap.data.simulate.effects import effects_named
from marrowmap.data.simulate.evolution import Course
from marrowmap.data.simulate.exam import SimulatedExam, SimulationSettings, simulate_exam, to_exam
from marrowmap.data.simulate.follow_up import SimulatedPair, simulate_pair
from marrowmap.data.simulate.label_maps import read_anatomy
from marrowmap.data.simulate.truth import Truth

StudyFormat = Literal["dicom", "nifti"]
Pattern = Literal["normal", "focal", "diffuse", "mixed", "micronodular", "random"]

TRUTH_SCHEMA = "marrowmap-truth/1"


@dataclass(frozen=True, kw_only=True)
class CohortSettings:
    """Which exams to simulate and how to write them.

    Attributes:
        exams: How many, with seeds counting up from the first.
        seed: The first exam's seed, 0 or more. Which seeds train and which test: `data/seeds.py`.
        pattern: Disease pattern of every exam; random draws one an exam.
        format: DICOM as a scanner writes it, or NIfTI named by sequence.
        follow_up: Scan each person a second time, after the disease has taken this course.
        anatomy: Folder of label maps that every exam is made from (`label_maps.read_anatomy`), instead of
            simulated bodies: ICRP 110 voxel files, TotalSegmentator's masks, or a NIfTI map with names.
        vendor: Whose scanner the DICOM files look like.
        enhanced: One multi-frame DICOM file a series instead of one file a slice.
        nuisance: Localizers, projections, a calculated b-value and a screenshot in the DICOM study besides.
        effects: The scanner's effects to show, all others absent; None draws them from the seed.
        wildness: How far contrasts leave physics, 0 (physical) to 1 (wild); meant for training.
    """

    exams: int = 1
    seed: int = 0
    pattern: Pattern = "random"
    format: StudyFormat = "dicom"
    follow_up: Course | None = None
    anatomy: Path | None = None
    vendor: VendorName = "siemens"
    enhanced: bool = False
    nuisance: bool = False
    effects: tuple[str, ...] | None = None
    wildness: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what cannot be simulated.

        Raises:
            SettingsError: If no exam is asked for, the seed is negative or an effect is unknown.
        """
        if self.exams < 1:
            raise SettingsError(f"need at least one exam to simulate, found --exams {self.exams}")
        if self.seed < 0:
            raise SettingsError(f"need a seed of 0 or more, found --seed {self.seed}")
        effects_named(self.effects or ())

    @property
    def simulation(self) -> SimulationSettings:
        """What is fixed of every exam."""
        effects = None if self.effects is None else frozenset(self.effects)
        return SimulationSettings(effects=effects, wildness=self.wildness)

    @property
    def style(self) -> DicomStyle:
        """What the DICOM files look like."""
        return DicomStyle(vendor=self.vendor, is_enhanced=self.enhanced, has_nuisance=self.nuisance)

    @property
    def seeds(self) -> range:
        """The seed of every exam."""
        return range(self.seed, self.seed + self.exams)


def write_cohort(out: Path, settings: CohortSettings) -> Iterator[Path]:
    """Simulate exams and write each as soon as it is done.

    Args:
        out: New or empty folder. One exam goes straight into it, several into `exam_<seed>` each.
        settings: Which exams.

    Yields:
        The folder of each exam written.

    Raises:
        SettingsError: If the folder holds something already (two studies in one place would mix), or the
            folder of label maps holds no body.
    """
    require_empty(out)
    body = read_anatomy(settings.anatomy) if settings.anatomy else None
    for seed in settings.seeds:
        folder = out if settings.exams == 1 else out / f"exam_{seed:05d}"
        if settings.follow_up:
            pair = simulate_pair(
                seed,
                settings.follow_up,
                pattern=settings.pattern,
                settings=settings.simulation,
                anatomy=body,
            )
            write_pair(pair, folder, settings.format, style=settings.style)
        else:
            exam = simulate_exam(seed, pattern=settings.pattern, settings=settings.simulation, anatomy=body)
            write_exam(exam, folder, settings.format, style=settings.style)
        yield folder


def require_empty(out: Path) -> None:
    """Refuse a folder that holds something already.

    Raises:
        SettingsError: If `out` is a file or a folder with anything in it.
    """
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise SettingsError(f"need a new or empty folder for simulated exams, found {out}; name another")


def write_pair(
    pair: SimulatedPair, folder: Path, format: StudyFormat = "dicom", *, style: DicomStyle | None = None
) -> None:
    """Write two exams of one person, with what became of each lesion in the truth of the second.

    Args:
        pair: Both exams and the change.
        folder: Where to write `baseline/` and `follow_up/`.
        format: As for one exam.
        style: As for one exam.
    """
    write_exam(pair.baseline, folder / "baseline", format, style=style)
    write_exam(pair.follow_up, folder / "follow_up", format, more={"follow_up": pair.change}, style=style)


def write_exam(
    simulated: SimulatedExam,
    folder: Path,
    format: StudyFormat = "dicom",
    *,
    more: Mapping[str, Any] | None = None,
    style: DicomStyle | None = None,
) -> None:
    """Write one simulated exam with its truth beside.

    Args:
        simulated: The exam and its truth.
        folder: Where to write; made if absent.
        format: `dicom` for one file a slice under `dicom/`, `nifti` for the composed volumes under `nifti/`.
        more: Further keys of `truth.json`.
        style: Whose DICOM files they look like; classic Siemens if None.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if format == "dicom":
        write_dicom_study(simulated, folder / "dicom", style)
    else:
        write_exam_nifti(to_exam(simulated), folder / "nifti")
    write_truth(simulated.truth, folder, more)


def write_truth(truth: Truth, folder: Path, more: Mapping[str, Any] | None = None) -> None:
    """Write `truth.json`, with further keys if any, `truth_lesions.nii.gz` and `truth_regions.nii.gz`."""
    write_nifti(folder / "truth_lesions.nii.gz", truth.lesion_labels, truth.affine_ras_mm)
    write_nifti(folder / "truth_regions.nii.gz", truth.regions, truth.affine_ras_mm)
    arrays = {"lesion_labels", "regions", "affine_ras_mm"}
    facts = {field.name: getattr(truth, field.name) for field in fields(truth) if field.name not in arrays}
    text = json.dumps({"schema": TRUTH_SCHEMA, **_plain(facts), **_plain(more or {})}, indent=2)
    (folder / "truth.json").write_text(text + "\n", encoding="utf-8")


def _plain(value: Any) -> Any:
    """Return a value as JSON knows it; an enumeration becomes its lower-case word."""
    if isinstance(value, Enum):
        return value.value if isinstance(value, str) else value.name.lower()
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(_plain(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None  # JSON has no NaN
    if isinstance(value, tuple | list | set | frozenset):
        return [_plain(item) for item in value]
    return value
