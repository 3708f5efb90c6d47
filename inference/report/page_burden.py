"""What each lesion adds to the burden: voxels by region and ADC values, for the page to add up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from marrowmap.data.grid import Grid
from marrowmap.data.skeleton import Region
from marrowmap.inference.burden import measure_burden
from marrowmap.inference.findings import Lesion
from marrowmap.inference.revise import decided

Report = Mapping[str, Any]
LabelledMap = tuple[npt.NDArray[Any], npt.NDArray[np.float64]]


@dataclass(frozen=True, kw_only=True)
class ReviewMaps:
    """The maps beside a report, for what each lesion adds to the burden.

    Attributes:
        lesion_labels: `(i, j, k)`, 0 or the lesion's id.
        regions: `(i, j, k)` of `Region` values.
        adc: `(i, j, k)` in um2/s, None when the exam had none.
        grid: Shape and affine of the maps.
    """

    lesion_labels: npt.NDArray[np.uint16]
    regions: npt.NDArray[np.uint8]
    adc: npt.NDArray[Any] | None
    grid: Grid


def review_maps(maps: Mapping[str, LabelledMap]) -> ReviewMaps:
    """Return the maps that are written beside a report, by their file stems."""
    labels, affine = maps["lesions"]
    i, j, k = labels.shape
    return ReviewMaps(
        lesion_labels=labels.astype(np.uint16),
        regions=maps["regions"][0].astype(np.uint8),
        adc=maps["adc"][0] if "adc" in maps else None,
        grid=Grid(shape=(i, j, k), affine_ras_mm=affine),
    )


def lesion_burdens(lesions: Sequence[Lesion], maps: ReviewMaps) -> dict[int, dict[str, Any]]:
    """Return the voxels of each lesion by region, those within the skeleton, and its ADC values."""
    boxes = ndimage.find_objects(maps.lesion_labels)
    burdens = {}
    for lesion in lesions:
        box = boxes[lesion.id - 1] if lesion.id <= len(boxes) else None
        burdens[lesion.id] = {"voxels": [], "adc": []} if box is None else _burden(lesion, box, maps)
    return burdens


def _burden(lesion: Lesion, box: tuple[slice, ...], maps: ReviewMaps) -> dict[str, Any]:
    """Return `[region, voxels, voxels within the skeleton]` and the sorted ADC values as steps."""
    mask = maps.lesion_labels[box] == lesion.id
    i, j, k = mask.shape
    grid = Grid(shape=(i, j, k), affine_ras_mm=maps.grid.affine_ras_mm)
    alone = np.where(mask, lesion.id, 0).astype(np.uint16)
    found = measure_burden((decided(lesion, "accept"),), alone, maps.regions[box], None, grid)
    parts = {"": found, **found.by_region}
    voxels = [
        [
            key,
            *(
                round(v / grid.voxel_ml)
                for v in (p.tumour_volume_ml, (p.marrow_fraction or 0.0) * p.marrow_volume_ml)
            ),
        ]
        for key, p in parts.items()
    ]
    adc: list[int] = []
    if maps.adc is not None and lesion.kind != "extramedullary":
        # As adc.nii.gz keeps them, which a revision reads: whole um2/s.
        values = np.round(np.clip(np.nan_to_num(maps.adc[box][mask]), 0.0, 32767.0)).astype(np.int64)
        adc = np.diff(np.sort(values[values > 0]), prepend=0).tolist()
    return {"voxels": [part for part in voxels if part[1]], "adc": adc}


def marrow_volumes(report: Report) -> dict[str, float | None]:
    """Return the volume of the skeleton and of each region, which no decision changes."""
    burden = report["burden"]
    volumes: dict[str, float | None] = {"": burden["marrow_volume_ml"]}
    return volumes | {
        region.key: burden["by_region"].get(region.key, {}).get("marrow_volume_ml") for region in Region
    }
