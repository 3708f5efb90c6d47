"""What a network's scores are worth, from exams whose lesions are known: fitted on some, checked on others.

Components are matched one to one with reference lesions, most overlap first: a component that covers two
lesions counts one of them and leaves the other among the missed, and of two components on one lesion
only one is it. So the number of lesions is the number of components that are lesions plus the missed
ones, exactly, and each part has a probability (`models/calibration.py`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from marrowmap.data.components import longest_diameter_mm
from marrowmap.data.errors import SettingsError, StudyError
from marrowmap.data.exam import LabelArray, SpacingMm
from marrowmap.data.grid import Grid, resample_nearest
from marrowmap.data.nifti import read_nifti
from marrowmap.models.calibration import (
    SCORE_LIMITS,
    Calibration,
    CountSpread,
    Logistic,
    count_distribution,
)

FOCAL_MM = 5.0
LEVEL = 0.9
#: Pulls the fit toward taking the score as the probability; as much as about one exam's components.
RIDGE = 1.0
MINIMUM_EXAMS = 10
#: Micronodules are drawn below 5 mm; on a grid of 2 mm some measure more.
BELOW_FOCAL = frozenset({"micronodule"})


@dataclass(frozen=True, kw_only=True)
class Component:
    """One component of bone that a network listed.

    Attributes:
        score: Before calibration.
        volume_ml: Its volume.
        is_lesion: It overlaps a reference lesion of any size.
        is_focal: It is matched with a reference lesion of 5 mm or more.
    """

    score: float
    volume_ml: float
    is_lesion: bool
    is_focal: bool


@dataclass(frozen=True, kw_only=True)
class Tally:
    """One exam's components and what is true of it.

    Attributes:
        components: Those of bone.
        focal: Reference lesions of 5 mm or more.
        tumour_ml: Volume of all reference lesions.
    """

    components: tuple[Component, ...]
    focal: int
    tumour_ml: float


@dataclass(frozen=True, kw_only=True)
class Check:
    """How often the 90 % intervals held what is true.

    Attributes:
        exams: How many were tried.
        count: Share of exams whose number of focal lesions lay in its interval.
        volume: The same for the tumour volume.
        mean_width: Mean width of the interval of the count.
        brier: Mean squared error of the components' probability of being a lesion.
    """

    exams: int
    count: float
    volume: float
    mean_width: float
    brier: float


def tally_folders(predictions: Path, references: Path) -> list[Tally]:
    """Tally every prediction whose reference has the same name.

    Args:
        predictions: Folder of `infer` outputs.
        references: Folder of references.

    Raises:
        StudyError: If no two names match, or a file is missing.
    """
    names = sorted(path.parent.name for path in references.glob("*/truth_lesions.nii.gz"))
    pairs = [name for name in names if (predictions / name / "report.json").is_file()]
    if not pairs:
        raise StudyError(
            f"no folders of the same name with report.json in {predictions} and truth_lesions.nii.gz in "
            f"{references}; name each output as its reference"
        )
    return [tally_folder(predictions / name, references / name) for name in pairs]


def tally_folder(prediction: Path, reference: Path) -> Tally:
    """Tally what `infer` wrote against a reference of the same exam.

    Args:
        prediction: Folder with `report.json` and `lesions.nii.gz`.
        reference: Folder with `truth_lesions.nii.gz` and, from the simulator, `truth.json`.

    Raises:
        StudyError: If a file is missing, or the report comes from a version without scores.
    """
    try:
        report = json.loads((prediction / "report.json").read_text(encoding="utf-8"))
        labels, affine = read_nifti(prediction / "lesions.nii.gz")
        truth, truth_affine = read_nifti(reference / "truth_lesions.nii.gz")
    except FileNotFoundError as error:
        raise StudyError(
            f"need {Path(error.filename).name} in {prediction} or {reference}, found none"
        ) from None
    i, j, k = labels.shape
    grid = Grid(shape=(i, j, k), affine_ras_mm=affine)
    known = np.rint(resample_nearest(np.rint(truth).astype(np.int32), truth_affine, grid)).astype(np.int32)
    facts = reference / "truth.json"
    lesions = json.loads(facts.read_text(encoding="utf-8"))["lesions"] if facts.is_file() else None
    focal = focal_ids(known, grid.spacing_mm, lesions)
    return tally(np.rint(labels).astype(np.int32), report["lesions"], known, focal, grid.voxel_ml)


def focal_ids(
    known: LabelArray, spacing_mm: SpacingMm, lesions: Sequence[Mapping[str, Any]] | None
) -> set[int]:
    """Return the ids of the reference lesions of 5 mm or more, by their stated diameters or measured."""
    if lesions is not None:
        return {
            int(lesion["id"])
            for lesion in lesions
            if lesion["longest_diameter_mm"] >= FOCAL_MM and lesion.get("kind") not in BELOW_FOCAL
        }
    numbers = [int(number) for number in np.unique(known) if number]
    return {n for n in numbers if longest_diameter_mm(np.argwhere(known == n), spacing_mm) >= FOCAL_MM}


def tally(
    labels: LabelArray,
    lesions: Iterable[Mapping[str, Any]],
    known: LabelArray,
    focal: set[int],
    voxel_ml: float,
) -> Tally:
    """Match components with reference lesions on one grid.

    Args:
        labels: `(i, j, k)` component ids.
        lesions: `lesions[]` of the report, with `id`, `kind`, `score` and `volume_ml`.
        known: `(i, j, k)` reference lesion ids.
        focal: Ids of the reference lesions of 5 mm or more.
        voxel_ml: Volume of a voxel.

    Raises:
        StudyError: If a lesion has no score.
    """
    of_bone = [lesion for lesion in lesions if lesion["kind"] != "extramedullary"]
    if any(lesion.get("score") is None for lesion in of_bone):
        raise StudyError("need lesions with a score, found one without; run infer of this version again")
    matched = _matched(labels, known, {int(lesion["id"]) for lesion in of_bone})
    touching = set(np.unique(labels[known > 0]).tolist())
    return Tally(
        components=tuple(
            Component(
                score=float(lesion["score"]),
                volume_ml=float(lesion["volume_ml"]),
                is_lesion=int(lesion["id"]) in touching,
                is_focal=matched.get(int(lesion["id"])) in focal,
            )
            for lesion in of_bone
        ),
        focal=len(focal),
        tumour_ml=float((known > 0).sum()) * voxel_ml,
    )


def _matched(labels: LabelArray, known: LabelArray, of_bone: set[int]) -> dict[int, int]:
    """Return the reference lesion of each component, each at most once, most overlap first."""
    both = (labels > 0) & (known > 0)
    pairs, counts = np.unique(np.stack([labels[both], known[both]]), axis=1, return_counts=True)
    matched: dict[int, int] = {}
    for place in np.argsort(-counts, kind="stable"):
        component, lesion = (int(number) for number in pairs[:, place])
        if component in of_bone and component not in matched and lesion not in matched.values():
            matched[component] = lesion
    return matched


def fit_calibration(tallies: Sequence[Tally], fitted_on: str) -> Calibration:
    """Fit the calibration on validation exams.

    Args:
        tallies: One an exam.
        fitted_on: In words, for reports.

    Raises:
        SettingsError: If there are too few exams.
    """
    if len(tallies) < MINIMUM_EXAMS:
        raise SettingsError(f"need {MINIMUM_EXAMS} exams or more to calibrate, found {len(tallies)}")
    components = [component for one in tallies for component in one.components]
    lesion = fit_logistic(components, [component.is_lesion for component in components])
    focal = fit_logistic(components, [component.is_focal for component in components])
    errors = [np.log((one.tumour_ml + 1.0) / (_expected_ml(one, lesion) + 1.0)) for one in tallies]
    low, high = np.quantile(errors, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Calibration(
        lesion=lesion,
        focal=focal,
        spread=fit_spread(tallies, focal),
        volume_log_low=float(low),
        volume_log_high=float(high),
        exams=len(tallies),
        fitted_on=fitted_on,
    )


def fit_logistic(components: Sequence[Component], is_true: Sequence[bool]) -> Logistic:
    """Fit log-odds on score and volume by Newton's method; nothing to fit on leaves the score itself."""
    prior = np.array([0.0, 1.0, 0.0])
    if not components:
        return Logistic(intercept=0.0, score=1.0, volume=0.0)
    score = np.clip([component.score for component in components], *SCORE_LIMITS)
    volume = np.maximum([component.volume_ml for component in components], 1e-3)
    design = np.stack([np.ones(len(score)), np.log(score / (1 - score)), np.log10(volume)], axis=1)
    weights, target = prior.copy(), np.asarray(is_true, dtype=np.float64)
    for _ in range(100):
        chance = 1.0 / (1.0 + np.exp(-np.clip(design @ weights, -60, 60)))
        slope = design.T @ (target - chance) - RIDGE * (weights - prior)
        curve = (design * (chance * (1 - chance))[:, None]).T @ design + RIDGE * np.eye(3)
        step = np.linalg.solve(curve, slope)
        weights = weights + step * min(1.0, 2.0 / max(float(np.abs(step).max()), 1e-12))
        if float(np.abs(step).max()) < 1e-6:
            break
    intercept, of_score, of_volume = (float(value) for value in weights)
    return Logistic(intercept=intercept, score=of_score, volume=of_volume)


def fit_spread(tallies: Sequence[Tally], focal: Logistic) -> CountSpread:
    """Fit missed lesions and what an exam shares: the spread under which the true counts are likeliest."""
    chances = [_chances(one, focal) for one in tallies]

    def surprise(logs: npt.NDArray[np.float64]) -> float:
        spread = _spread(logs)
        total = 0.01 * float(np.square(logs).sum())  # keeps what the exams cannot tell near one
        for one, chance in zip(tallies, chances, strict=True):
            distribution = count_distribution(chance, spread)
            likely = distribution[one.focal] if one.focal < len(distribution) else 0.0
            total -= float(np.log(max(likely, 1e-9)))
        return total

    start = np.log([0.5, 0.2, 1.0, 0.5])
    found = minimize(
        surprise, start, method="Nelder-Mead", options={"maxfev": 400, "xatol": 0.02, "fatol": 0.02}
    )
    return _spread(found.x)


def _spread(logs: npt.NDArray[np.float64]) -> CountSpread:
    missed, per_lesion, size, shared = np.exp(np.clip(logs, -7.0, 4.0))
    return CountSpread(
        missed=float(missed),
        missed_per_lesion=float(per_lesion),
        missed_size=float(size),
        exam_log_odds_sd=float(min(shared, 4.0)),
    )


def check_calibration(tallies: Sequence[Tally], calibration: Calibration) -> Check:
    """Return how often the intervals hold what is true, on exams that the calibration has not seen.

    Raises:
        SettingsError: If there is no exam.
    """
    if not tallies:
        raise SettingsError("need exams to check a calibration on, found none")
    held, volume_held, widths, errors = [], [], [], []
    for one in tallies:
        low, high = interval(count_distribution(_chances(one, calibration.focal), calibration.spread))
        held.append(low <= one.focal <= high)
        widths.append(high - low)
        shifted = _expected_ml(one, calibration.lesion) + 1.0
        error = float(np.log((one.tumour_ml + 1.0) / shifted))
        volume_held.append(calibration.volume_log_low <= error <= calibration.volume_log_high)
        errors += [
            (calibration.lesion.probability(c.score, c.volume_ml) - c.is_lesion) ** 2 for c in one.components
        ]
    return Check(
        exams=len(tallies),
        count=float(np.mean(held)),
        volume=float(np.mean(volume_held)),
        mean_width=float(np.mean(widths)),
        brier=float(np.mean(errors)) if errors else 0.0,
    )


def interval(distribution: npt.NDArray[np.float64], level: float = LEVEL) -> tuple[int, int]:
    """Return the central interval of a count, as reports give it."""
    cumulative, tail = np.cumsum(distribution), (1.0 - level) / 2.0
    low = int(np.searchsorted(cumulative, tail + 1e-12))
    return low, min(int(np.searchsorted(cumulative, 1.0 - tail - 1e-12)), len(distribution) - 1)


def _chances(one: Tally, focal: Logistic) -> list[float]:
    return [focal.probability(component.score, component.volume_ml) for component in one.components]


def _expected_ml(one: Tally, lesion: Logistic) -> float:
    return sum(c.volume_ml * lesion.probability(c.score, c.volume_ml) for c in one.components)
