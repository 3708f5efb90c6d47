"""Which unlabelled exams to annotate next: those whose findings a reader's answer would change most.

**Rule.** A finding of probability `p` leaves `-p log2 p - (1 - p) log2 (1 - p)` bits open: 1 at even odds,
nothing where the network is sure. An exam's doubt is the sum over its listed lesions (their probabilities
are calibrated) and over its candidates: components that are likelier lesion than not but stay below the
threshold, with their highest voxel probability, which is not calibrated. Uncertainty sampling: Settles,
Active Learning Literature Survey, 2009, section 3.1. Nothing keeps two like exams apart.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from marrowmap.data.components import find_components
from marrowmap.data.errors import StudyError
from marrowmap.data.exam import Array3D, LabelArray, SpacingMm
from marrowmap.data.grid import Grid
from marrowmap.data.lesion_outline import OUTLINE_PROBABILITY, component_peaks, is_speck
from marrowmap.data.nifti import read_nifti

#: What `infer` writes and this reads.
REPORT, LESIONS, PROBABILITY = "report.json", "lesions.nii.gz", "lesion_probability.nii.gz"


@dataclass(frozen=True, kw_only=True)
class Suggestion:
    """How much an exam would teach.

    Attributes:
        exam: Name of its folder.
        doubt_bits: What its findings leave open, in bits.
        lesions: Listed lesions.
        candidates: Components below the threshold.
        draft: The outlines to correct: `dicom/seg.dcm` where there is one, else `lesions.nii.gz`.
    """

    exam: str
    doubt_bits: float
    lesions: int
    candidates: int
    draft: Path


def suggest(outputs: Path) -> list[Suggestion]:
    """Rank the exams of a folder, the most doubtful first and equal ones by name.

    Args:
        outputs: Folder of outputs of `marrowmap infer`, at any depth.

    Raises:
        StudyError: If there is none, or one is damaged.
    """
    folders = sorted(path.parent for path in outputs.rglob(REPORT))
    if not folders:
        raise StudyError(f"no {REPORT} in or below {outputs}; name what infer or cohort wrote")
    ranked = [_suggestion(folder, str(folder.relative_to(outputs))) for folder in folders]
    return sorted(ranked, key=lambda exam: (-exam.doubt_bits, exam.exam))


def as_table(suggestions: Iterable[Suggestion]) -> str:
    """Return the ranking as tab-separated lines under a header."""
    lines = ["rank\tdoubt_bits\tlesions\tcandidates\texam\tdraft"]
    for rank, exam in enumerate(suggestions, start=1):
        counts = f"{exam.doubt_bits:.2f}\t{exam.lesions}\t{exam.candidates}"
        lines.append(f"{rank}\t{counts}\t{exam.exam}\t{exam.draft}")
    return "\n".join(lines) + "\n"


def entropy_bits(probability: float) -> float:
    """Return what a yes-or-no question of this probability leaves open, in bits.

    Example:
        >>> entropy_bits(0.5), entropy_bits(1.0)
        (1.0, 0.0)
    """
    if not 0.0 < probability < 1.0:
        return 0.0
    other = 1.0 - probability
    return -probability * math.log2(probability) - other * math.log2(other)


def _suggestion(folder: Path, name: str) -> Suggestion:
    listed = _probabilities(folder / REPORT)
    candidates = _candidates(folder)
    drawn = folder / "dicom" / "seg.dcm"
    return Suggestion(
        exam=name,
        doubt_bits=sum(map(entropy_bits, (*listed, *candidates))),
        lesions=len(listed),
        candidates=len(candidates),
        draft=drawn if drawn.is_file() else folder / LESIONS,
    )


def _probabilities(report: Path) -> list[float]:
    """Return the probabilities of the lesions of a report; those that a reader has decided on are sure."""
    try:
        lesions = json.loads(report.read_text(encoding="utf-8"))["lesions"]
        return [float(lesion["probability"]) for lesion in lesions if lesion["certainty"] != "rejected"]
    except (ValueError, KeyError, TypeError) as error:
        raise StudyError(f"{report.parent.name}: {REPORT} is damaged ({error!r}); run infer again") from error


def _candidates(folder: Path) -> list[float]:
    """Return the highest probability of every component that is likely lesion and is not listed."""
    for name in (LESIONS, PROBABILITY):
        if not (folder / name).is_file():
            raise StudyError(f"{folder.name} needs {name}, found none; run infer again")
    labels: LabelArray = np.rint(read_nifti(folder / LESIONS)[0]).astype(np.int32)
    probability, affine = read_nifti(folder / PROBABILITY)
    if labels.shape != probability.shape:
        raise StudyError(f"{folder.name}: {LESIONS} and {PROBABILITY} differ in shape; run infer again")
    i, j, k = labels.shape
    return _unlisted_peaks(labels, probability, Grid(shape=(i, j, k), affine_ras_mm=affine).spacing_mm)


def _unlisted_peaks(labels: LabelArray, probability: Array3D, spacing_mm: SpacingMm) -> list[float]:
    components = find_components(probability >= OUTLINE_PROBABILITY)
    is_listed = np.zeros(components.count + 1, dtype=bool)
    is_listed[np.unique(components.labels[labels > 0])] = True
    is_open = ~is_listed[1:] & ~is_speck(components, spacing_mm)
    return component_peaks(components, probability)[is_open].astype(float).tolist()
