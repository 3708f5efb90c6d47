"""What a reader would measure in a simulated exam: tissues and lesions on the composed, noisy images.

Regions of interest come from the truth, shrunk by a voxel so that edges do not count; values come from the
images as they are read, so the scanner's noise, bias and distortion are in them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from marrowmap.data.exam import Exam, Sequence
from marrowmap.data.simulate.anatomy import Anatomy, build_anatomy
from marrowmap.data.simulate.exam import SimulatedExam, SimulationSettings, simulate_exam, to_exam
from marrowmap.data.simulate.labels import MARROW_TISSUES, Tissue
from marrowmap.data.simulate.person import draw_person
from marrowmap.data.simulate.realism_figures import BONES_ML
from marrowmap.data.simulate.realism_regions import (
    Points,
    ball_of_points,
    labels_at,
    near_findings,
    points_in,
    shrunk,
    values_at,
)
from marrowmap.data.simulate.truth import LesionTruth, MimicTruth, Pattern
from marrowmap.data.skeleton import Region

#: Smaller findings are mostly edge (partial volume), as every published series says of its own.
SMALLEST_MM = 10.0
_ORGANS = {
    "muscle": Tissue.MUSCLE, "subcutaneous fat": Tissue.SUBCUTANEOUS_FAT, "liver": Tissue.LIVER,
    "spleen": Tissue.SPLEEN, "kidney": Tissue.KIDNEY, "cerebrospinal fluid": Tissue.CSF, "cord": Tissue.CORD,
    "white matter": Tissue.WHITE_MATTER, "grey matter": Tissue.GREY_MATTER, "bladder": Tissue.BLADDER,
    "prostate": Tissue.PROSTATE, "disc": Tissue.DISC,
}  # fmt: skip
#: Where the published figures of marrow were measured: spine, sacrum and pelvis.
_AXIAL = (Region.CERVICAL_SPINE, Region.THORACIC_SPINE, Region.LUMBAR_SPINE, Region.SACRUM_PELVIS)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One region of interest.

    Attributes:
        kind: `marrow`, a tissue, `lesion: active`, `mimic: haemangioma` ...
        adc_um2_per_s: Median of the ADC map; NaN without one.
        fat_fraction: Median of fat / (fat + water); NaN without Dixon.
        low_b: Median signal at the low b-value over that of muscle.
        high_b: The same at the high b-value.
        t1: The same on T1.
        stir: The same on STIR.
        volume_ml: Of the whole finding or tissue.
        longest_diameter_mm: Of a finding; NaN for tissues.
    """

    kind: str
    adc_um2_per_s: float = float("nan")
    fat_fraction: float = float("nan")
    low_b: float = float("nan")
    high_b: float = float("nan")
    t1: float = float("nan")
    stir: float = float("nan")
    volume_ml: float = float("nan")
    longest_diameter_mm: float = float("nan")


@dataclass(frozen=True, kw_only=True)
class MeasuredExam:
    """All regions of interest of one exam.

    Attributes:
        seed: Of the exam.
        pattern: Infiltration pattern.
        diffuse_grade: Of the background.
        sex: F or M.
        regions: The regions of interest.
        volumes_ml: Of every tissue of the body by its lower-case name, and of bones by theirs.
        effects: Of the scanner, by name.
    """

    seed: int
    pattern: str
    diffuse_grade: str
    sex: str
    regions: tuple[Measured, ...]
    volumes_ml: Mapping[str, float]
    effects: tuple[str, ...] = ()

    def of(self, kind: str) -> list[Measured]:
        """Return the regions whose kind begins with a word."""
        return [region for region in self.regions if region.kind.startswith(kind)]


def measure_exam(
    seed: int, pattern: Pattern, settings: SimulationSettings | None = None
) -> tuple[MeasuredExam, SimulatedExam, Exam]:
    """Simulate an exam and measure it.

    Args:
        seed: Of the exam.
        pattern: Infiltration pattern.
        settings: As for `simulate_exam`.

    Returns:
        Measurements, the simulated exam and its composed volumes, for pictures.
    """
    settings = settings or SimulationSettings()
    # The first of the exam's streams builds its body (see simulate_exam).
    bodies = np.random.default_rng(np.random.SeedSequence(seed).spawn(1)[0])
    anatomy = build_anatomy(draw_person(bodies), bodies, spacing_mm=settings.spacing_mm)
    simulated = simulate_exam(seed, pattern=pattern, settings=settings, anatomy=anatomy)
    exam = to_exam(simulated)
    return measured(anatomy, simulated, exam), simulated, exam


def measured(anatomy: Anatomy, simulated: SimulatedExam, exam: Exam) -> MeasuredExam:
    """Return the measurements of an exam of a known body."""
    truth = simulated.truth
    voxel_ml = abs(float(np.linalg.det(anatomy.affine_ras_mm[:3, :3]))) / 1000
    counts = np.bincount(anatomy.tissue.ravel(), minlength=64)
    volumes = {tissue.name.lower(): float(counts[tissue] * voxel_ml) for tissue in Tissue}
    bones = np.bincount(anatomy.bone.ravel(), minlength=256)
    for name, ((first, last), _) in BONES_ML.items():
        volumes[name] = float(bones[first : last + 1].sum() * voxel_ml)
    return MeasuredExam(
        seed=truth.seed,
        pattern=truth.pattern,
        diffuse_grade=truth.diffuse_grade,
        sex=truth.person.sex,
        regions=tuple(_regions(anatomy, simulated, exam)),
        volumes_ml=volumes,
        effects=tuple(truth.effects),
    )


def _regions(anatomy: Anatomy, simulated: SimulatedExam, exam: Exam) -> Iterator[Measured]:
    reader = _Reader(exam=exam, rng=np.random.default_rng(simulated.truth.seed))
    truth = simulated.truth
    affine = truth.affine_ras_mm
    masks = {name: anatomy.tissue == tissue for name, tissue in _ORGANS.items()}
    free = truth.lesion_labels == 0
    near_mimics = near_findings(truth.mimics, anatomy)
    marrow = np.isin(anatomy.tissue, MARROW_TISSUES) & free & ~near_mimics
    masks["marrow"] = marrow & np.isin(truth.regions, _AXIAL)
    reference: Measured | None = None
    for name, mask in masks.items():
        found = reader.measured(name, points_in(shrunk(mask), affine, reader.rng), reference)
        if name == "muscle":
            reference = found
            found = reader.measured(name, points_in(shrunk(mask), affine, reader.rng), reference)
        if np.isfinite(found.high_b) or np.isfinite(found.adc_um2_per_s):
            yield found
    if reference is not None:
        yield from _findings(truth.lesions, truth.mimics, simulated, reader, reference)


def _findings(
    lesions: tuple[LesionTruth, ...],
    mimics: tuple[MimicTruth, ...],
    simulated: SimulatedExam,
    reader: _Reader,
    reference: Measured,
) -> Iterator[Measured]:
    named = [(f"lesion: {lesion.kind}", lesion) for lesion in lesions]
    for kind, finding in [*named, *((f"mimic: {mimic.kind}", mimic) for mimic in mimics)]:
        radius = finding.longest_diameter_mm / 5  # well inside, however irregular it is
        ball = ball_of_points(np.array(finding.centroid_ras_mm), radius)
        if isinstance(finding, LesionTruth):
            ball = ball[labels_at(simulated.truth, ball) == finding.id]
        if len(ball):
            yield reader.measured(
                kind, ball, reference, volume_ml=finding.volume_ml, diameter_mm=finding.longest_diameter_mm
            )


@dataclass(frozen=True, kw_only=True)
class _Reader:
    exam: Exam
    rng: np.random.Generator

    def measured(
        self,
        kind: str,
        points: Points,
        reference: Measured | None,
        *,
        volume_ml: float = float("nan"),
        diameter_mm: float = float("nan"),
    ) -> Measured:
        """Return a region's medians; signals are divided by the reference's, if there is one."""
        t1 = Sequence.T1 if Sequence.T1 in self.exam else Sequence.DIXON_IN
        signals = {
            "low_b": self._median(Sequence.DWI_LOW, points),
            "high_b": self._median(Sequence.DWI_HIGH, points),
            "t1": self._median(t1, points) if t1 is Sequence.T1 else float("nan"),
            "stir": self._median(Sequence.STIR, points),
        }
        if reference is not None:
            signals = {name: value / getattr(reference, name) for name, value in signals.items()}
        fat, water = (self._values(s, points) for s in (Sequence.DIXON_FAT, Sequence.DIXON_WATER))
        total = fat + water
        fraction = float(np.median(fat[total > 0] / total[total > 0])) if np.any(total > 0) else float("nan")
        return Measured(
            kind=kind,
            adc_um2_per_s=self._median(Sequence.ADC, points),
            fat_fraction=fraction,
            volume_ml=volume_ml,
            longest_diameter_mm=diameter_mm,
            **signals,
        )

    def _median(self, sequence: Sequence, points: Points) -> float:
        values = self._values(sequence, points)
        values = values[values > 0]
        return float(np.median(values)) if values.size else float("nan")

    def _values(self, sequence: Sequence, points: Points) -> npt.NDArray[np.float32]:
        if sequence not in self.exam or not len(points):
            return np.zeros(len(points), dtype=np.float32)
        return values_at(self.exam[sequence], points)
