"""How good a prediction is, lesion by lesion, region by region.

**Found.** A reference lesion is found when predicted voxels cover at least 10 % of its voxels, or when
the centroid of a predicted component lies in it or within one voxel of it. Ten percent is lenient on
outline and strict on luck: radiologists' own outlines of myeloma lesions overlap with a Dice of 0.32.
**False positive.** A predicted component that touches no reference lesion (micro-nodules included) and
whose centroid is not within one voxel of one. **Dice** of two empty masks is 1: nothing was there and
nothing was said.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from marrowmap.data.components import components_of, longest_diameter_mm
from marrowmap.data.exam import LabelArray, LesionMask, SpacingMm
from marrowmap.data.skeleton import UNLABELLED, Region

#: Share of a reference lesion's voxels that finds it.
FOUND_OVERLAP = 0.10
#: Bins of the longest diameter, mm; below the first edge is no focal lesion.
SIZE_EDGES_MM = (5.0, 7.0, 10.0, 15.0, 20.0, math.inf)
#: Most focal lesions of each band: none, one, more than one (IMWG), then Durie-Salmon-plus' 4 and 20.
COUNT_BANDS = {"0": 0, "1": 1, "2-4": 4, "5-20": 20, ">20": 10**9}


@dataclass(frozen=True, kw_only=True)
class LesionMatches:
    """Who found whom in one exam.

    Attributes:
        found: For each reference lesion id, whether it was found.
        diameters_mm: For each reference lesion id, its longest diameter.
        false_positives: Predicted components that belong to no reference lesion.
        predicted: Predicted components in all.
        finders: For each reference lesion id, the share of its voxels that each component covers; 1.0 where
            the component's centroid lies in or beside it, which finds it alone.
        belongs: For each component id, whether it belongs to any reference lesion.
    """

    found: Mapping[int, bool] = field(default_factory=dict)
    diameters_mm: Mapping[int, float] = field(default_factory=dict)
    false_positives: int = 0
    predicted: int = 0
    finders: Mapping[int, Mapping[int, float]] = field(default_factory=dict)
    belongs: Mapping[int, bool] = field(default_factory=dict)


def match_lesions(
    reference: LabelArray,
    predicted: LabelArray,
    spacing_mm: SpacingMm,
    diameters_mm: Mapping[int, float] | None = None,
) -> LesionMatches:
    """Match predicted components with reference lesions.

    Args:
        reference: `(i, j, k)` lesion ids, 0 is none.
        predicted: `(i, j, k)` component ids on the same grid, 0 is none.
        spacing_mm: Voxel size.
        diameters_mm: Longest diameters by lesion id where they are known; the others are measured.
    """
    boxes = ndimage.find_objects(reference)
    known = diameters_mm or {}
    found, sizes, finders = {}, {}, {}
    centroids = component_centroids(predicted)
    beside = _labels_beside(reference, centroids)
    for label, box in enumerate(boxes, start=1):
        if box is None:
            continue
        voxels = reference[box] == label
        shares = _shares(predicted[box][voxels])
        central = {component: 1.0 for component, labels in beside.items() if label in labels}
        finders[label] = shares | central
        covered = float((predicted[box][voxels] > 0).mean())
        found[label] = covered >= FOUND_OVERLAP or bool(central)
        sizes[label] = (
            known[label] if label in known else longest_diameter_mm(np.argwhere(voxels), spacing_mm)
        )
    touching = set(np.unique(predicted[reference > 0]).tolist())
    belongs = {component: component in touching or bool(beside[component]) for component in centroids}
    return LesionMatches(
        found=found,
        diameters_mm=sizes,
        false_positives=sum(not is_lesion for is_lesion in belongs.values()),
        predicted=len(centroids),
        finders=finders,
        belongs=belongs,
    )


def _shares(components: LabelArray) -> dict[int, float]:
    """Return which share of a lesion's voxels each component covers."""
    ids, counts = np.unique(components, return_counts=True)
    return {int(n): int(count) / components.size for n, count in zip(ids, counts, strict=True) if n}


def component_centroids(labels: LabelArray) -> dict[int, npt.NDArray[np.float64]]:
    """Return the centroid, in voxels, of every label."""
    ids = [n for n, box in enumerate(ndimage.find_objects(labels), start=1) if box is not None]
    if not ids:
        return {}
    centres = np.asarray(ndimage.center_of_mass(labels > 0, labels, ids), dtype=np.float64)
    return dict(zip(ids, centres, strict=True))


def _labels_beside(
    reference: LabelArray, centroids: Mapping[int, npt.NDArray[np.float64]]
) -> dict[int, set[int]]:
    """Return the reference lesions within one voxel of each component's centroid."""
    beside = {}
    for component, centre in centroids.items():
        i, j, k = np.rint(centre).astype(int)
        near = reference[max(i - 1, 0) : i + 2, max(j - 1, 0) : j + 2, max(k - 1, 0) : k + 2]
        beside[component] = {int(label) for label in np.unique(near) if label}
    return beside


def dice(reference: LesionMask, prediction: LesionMask) -> float:
    """Return the Dice overlap of two masks; two empty ones agree wholly (1.0)."""
    sizes = int(reference.sum()) + int(prediction.sum())
    return 1.0 if sizes == 0 else 2.0 * int((reference & prediction).sum()) / sizes


def region_dice(reference: LabelArray, prediction: LabelArray) -> dict[str, float]:
    """Return the Dice of every region that the reference has, by the region's key."""
    result = {}
    for region in Region:
        truth = reference == region
        if truth.any():
            result[region.key] = dice(truth, prediction == region)
    return result


def count_band(lesions: int) -> str:
    """Return the band of a number of focal lesions.

    Example:
        >>> count_band(4), count_band(5)
        ('2-4', '5-20')
    """
    return next(name for name, most in COUNT_BANDS.items() if lesions <= most)


def size_bin(diameter_mm: float) -> str | None:
    """Return the name of a diameter's bin, None below 5 mm.

    Example:
        >>> size_bin(5.0), size_bin(25.0), size_bin(4.9)
        ('5-7 mm', '>20 mm', None)
    """
    for low, high in itertools.pairwise(SIZE_EDGES_MM):
        if low <= diameter_mm < high:
            return f">{low:.0f} mm" if math.isinf(high) else f"{low:.0f}-{high:.0f} mm"
    return None


@dataclass(frozen=True, kw_only=True)
class PatchCounts:
    """Sums over patches, for the validation during a run.

    Attributes:
        lesions: Reference lesions.
        lesions_found: Those found.
        false_positives: Components that belong to none.
        patches: Patches counted.
        overlap: Lesion voxels in both.
        voxels: Lesion voxels in reference plus prediction.
        regions_right: Skeleton voxels whose region is right.
        regions_all: Skeleton voxels.
    """

    lesions: int
    lesions_found: int
    false_positives: int
    patches: int
    overlap: int
    voxels: int
    regions_right: int
    regions_all: int

    def __add__(self, other: PatchCounts) -> PatchCounts:
        """Return the sums of both."""
        return PatchCounts(**{name: value + getattr(other, name) for name, value in vars(self).items()})

    def summary(self) -> dict[str, float]:
        """Return sensitivity, false positives a patch, lesion Dice and share of right regions."""
        return {
            "sensitivity": self.lesions_found / max(self.lesions, 1),
            "false_positives_per_patch": self.false_positives / max(self.patches, 1),
            "lesion_dice": 2 * self.overlap / max(self.voxels, 1),
            "region_accuracy": self.regions_right / max(self.regions_all, 1),
        }


def count_patch(
    lesion_labels: LabelArray,
    lesion: LesionMask,
    regions: LabelArray,
    predicted_regions: LabelArray,
    is_ignored: LesionMask | None = None,
) -> PatchCounts:
    """Count one patch.

    Args:
        lesion_labels: Reference lesion ids.
        lesion: Predicted lesion mask.
        regions: Reference regions.
        predicted_regions: Predicted regions.
        is_ignored: Voxels of lesions too small to count; finding one is neither right nor wrong.
    """
    ignored = np.zeros(lesion.shape, dtype=bool) if is_ignored is None else is_ignored
    matches = match_lesions(lesion_labels, components_of(lesion), (1.0, 1.0, 1.0))
    small = {int(label) for label in np.unique(lesion_labels[ignored])}
    found = [is_found for label, is_found in matches.found.items() if label not in small]
    truth, said = (lesion_labels > 0) & ~ignored, lesion & ~ignored
    skeleton = (regions > 0) & (regions != UNLABELLED)
    return PatchCounts(
        lesions=len(found),
        lesions_found=sum(found),
        false_positives=matches.false_positives,
        patches=1,
        overlap=int((truth & said).sum()),
        voxels=int(truth.sum()) + int(said.sum()),
        regions_right=int((predicted_regions[skeleton] == regions[skeleton]).sum()),
        regions_all=int(skeleton.sum()),
    )
