"""Folders of predictions and references, matched by name and read onto one grid.

A prediction folder is what `marrowmap infer` writes, a reference folder what `marrowmap simulate` writes
or an annotator's `truth_lesions.nii.gz` with or without `truth_regions.nii.gz`. The reference is brought
to the prediction's grid by nearest neighbour.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from marrowmap.data.components import components_of
from marrowmap.data.errors import StudyError
from marrowmap.data.exam import Affine, LabelArray
from marrowmap.data.grid import Grid, resample_nearest
from marrowmap.data.nifti import read_nifti


@dataclass(frozen=True, kw_only=True, eq=False)
class ExamPair:
    """One exam's prediction and reference on the prediction's grid.

    Attributes:
        name: Folder name of the reference.
        grid: Where the voxels are.
        predicted: int32 `(i, j, k)` ids of predicted lesions.
        reference: int32 `(i, j, k)` ids of reference lesions.
        predicted_regions: Predicted regions, None without `regions.nii.gz`.
        reference_regions: The reference's regions, None without `truth_regions.nii.gz`.
        truth: `truth.json`, empty without one.
        report: `report.json`, empty without one.
    """

    name: str
    grid: Grid
    predicted: LabelArray
    reference: LabelArray
    predicted_regions: LabelArray | None = None
    reference_regions: LabelArray | None = None
    truth: Mapping[str, Any] = field(default_factory=dict)
    report: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_simulated(self) -> bool:
        """Whether the reference comes from the simulator."""
        return "seed" in self.truth


def exam_folders(predictions: Path, references: Path) -> Iterator[tuple[Path, Path]]:
    """Yield the folders of each prediction and its reference.

    Args:
        predictions: Folder of `infer` outputs, or one such output.
        references: Folder of references, or one such reference.

    Raises:
        StudyError: If a reference has no prediction.
    """
    if (predictions / "lesions.nii.gz").is_file() and (references / "truth_lesions.nii.gz").is_file():
        yield predictions, references
        return
    named = {path.parent.name: path.parent for path in sorted(predictions.glob("*/lesions.nii.gz"))}
    wanted = [path.parent for path in sorted(references.glob("*/truth_lesions.nii.gz"))]
    missing = [path.name for path in wanted if path.name not in named]
    if len(missing) == len(wanted):
        raise StudyError(
            f"no folders of the same name with lesions.nii.gz in {predictions} and truth_lesions.nii.gz in "
            f"{references}: found {len(named)} and {len(wanted)}; name each output as its reference"
        )
    if missing:  # what was never predicted must not raise the share of lesions found
        raise StudyError(
            f"{len(missing)} of {len(wanted)} references have no prediction, the first is {missing[0]}; "
            "run infer on them, or move their references away"
        )
    for path in wanted:
        yield named[path.name], path


def read_pair(prediction: Path, reference: Path) -> ExamPair:
    """Read one exam's prediction and reference.

    Raises:
        StudyError: If a file is missing or damaged.
    """
    predicted, affine = _labels(prediction / "lesions.nii.gz")
    i, j, k = predicted.shape
    grid = Grid(shape=(i, j, k), affine_ras_mm=affine)
    truth = read_json(reference / "truth.json")
    labels = _on_grid(reference / "truth_lesions.nii.gz", grid)
    if not truth and labels.max(initial=0) == 1:
        labels = components_of(labels > 0).astype(np.int32)  # an annotator's mask without instances
    regions, has_regions = prediction / "regions.nii.gz", (reference / "truth_regions.nii.gz").is_file()
    return ExamPair(
        name=reference.name,
        grid=grid,
        predicted=predicted,
        reference=labels,
        predicted_regions=_on_grid(regions, grid) if regions.is_file() else None,
        reference_regions=_on_grid(reference / "truth_regions.nii.gz", grid) if has_regions else None,
        truth=truth,
        report=read_json(prediction / "report.json"),
    )


def _labels(path: Path) -> tuple[LabelArray, Affine]:
    if not path.is_file():
        raise StudyError(f"need {path.name} in {path.parent}, found none; run infer or simulate again")
    array, affine = read_nifti(path)
    if array.ndim != 3:
        raise StudyError(f"need {path.name} with three axes, found {array.ndim}; write one label a voxel")
    return np.rint(array).astype(np.int32), affine


def _on_grid(path: Path, grid: Grid) -> LabelArray:
    labels, affine = _labels(path)
    return resample_nearest(labels, affine, grid)


def read_json(path: Path) -> dict[str, Any]:
    """Return the object that a file holds, an empty one without the file.

    Raises:
        StudyError: If it is damaged.
    """
    if not path.is_file():
        return {}
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise StudyError(
            f"{path.name} in {path.parent.name} is not JSON: it is damaged; write it again"
        ) from error
    if not isinstance(read, dict):
        raise StudyError(f"{path.name} in {path.parent.name} needs an object with keys; write it again")
    return read
