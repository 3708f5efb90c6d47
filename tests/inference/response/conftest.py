"""Shared by the tests of the comparison: a body of 32 x 20 x 48 cm, with cubes as lesions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from marrowmap.data.grid import Grid
from marrowmap.data.skeleton import Region
from marrowmap.inference.certainty import CertaintySettings
from marrowmap.inference.findings import AdcStatistics, Lesion
from marrowmap.inference.findings_json import to_json
from marrowmap.inference.response.exam import ComparedExam

SHAPE = (80, 50, 120)
SPACING_MM = 4.0
#: High-b signal in 256 steps: muscle, marrow, lesion.
MUSCLE, MARROW, LESION = 20, 40, 110

#: One lesion: first voxel, side in voxels, ADC in um2/s, and what else is not as usual.
Cube = dict[str, Any]


@pytest.fixture(scope="session")
def texture() -> np.ndarray:
    """What makes one place of a body unlike another."""
    noise = np.random.default_rng(7).standard_normal(SHAPE)
    smooth = ndimage.gaussian_filter(noise, 1.5)
    return smooth / smooth.std()


@pytest.fixture(scope="session")
def make_exam(texture: np.ndarray) -> Callable[..., ComparedExam]:
    """Return a maker of exams; `moved` is a function from voxels of this exam to voxels of the body."""

    def make(
        cubes: Sequence[Cube] = (),
        *,
        date: str = "",
        moved: Callable[[np.ndarray], np.ndarray] | None = None,
        gain: np.ndarray | float = 1.0,
        marrow_dwi: int = MARROW,
        marrow_adc: float = 400.0,
        fat: float | None = 0.6,
        grade: str = "none",
    ) -> ComparedExam:
        return _exam(texture, cubes, date, moved, gain, marrow_dwi, marrow_adc, fat, grade)

    return make


def cube(start: tuple[int, int, int], side: int = 4, adc: float = 800.0, **more: Any) -> Cube:
    return {"start": start, "side": side, "adc": adc, **more}


@pytest.fixture(scope="session")
def make_cube() -> Callable[..., Cube]:
    return cube


def _exam(
    texture: np.ndarray,
    cubes: Sequence[Cube],
    date: str,
    moved: Callable[[np.ndarray], np.ndarray] | None,
    gain: np.ndarray | float,
    marrow_dwi: int,
    marrow_adc: float,
    fat: float | None,
    grade: str,
) -> ComparedExam:
    body = np.zeros(SHAPE, dtype=bool)
    body[4:76, 4:46, :] = True
    regions = np.zeros(SHAPE, dtype=np.uint8)
    regions[34:46, 10:22, 50:] = Region.LUMBAR_SPINE
    regions[18:62, 8:30, 8:40] = Region.SACRUM_PELVIS
    labels = np.zeros(SHAPE, dtype=np.uint16)
    adc = np.select([regions > 0, body], [marrow_adc, 1400.0], 0.0)
    dwi = np.select([regions > 0, body], [float(marrow_dwi), float(MUSCLE)], 0.0) * (1 + 0.15 * texture)
    fat_map = np.select([regions > 0, body], [fat or 0.0, 0.05], 0.0)
    for number, item in enumerate(cubes, start=1):
        box = tuple(slice(a, a + item["side"]) for a in item["start"])
        labels[box] = number
        adc[box], dwi[box] = item["adc"], item.get("dwi", LESION)
        fat_map[box] = item.get("fat", 0.05)
        if not item.get("outlined", True):
            labels[box] = 0
    t1 = np.where(body, 100.0 + 25.0 * texture + 60.0 * fat_map, 0.0)
    volumes = {"t1": t1, "dwi_high": dwi * gain, "adc": adc, "fat_fraction": 255.0 * fat_map}
    if moved is not None:
        where = moved(np.argwhere(body | ~body).astype(float)).T
        volumes = {n: _at(v, where, 1) for n, v in volumes.items()}
        labels, regions = _at(labels, where, 0), _at(regions, where, 0)
    grid = Grid(shape=SHAPE, affine_ras_mm=np.diag([SPACING_MM] * 3 + [1.0]))
    images = {n: np.clip(np.rint(volumes[n]), 0, 255).astype(np.uint8) for n in ("t1", "dwi_high")}
    if fat is not None:
        images["fat_fraction"] = np.clip(np.rint(volumes["fat_fraction"]), 0, 255).astype(np.uint8)
    return ComparedExam(
        report=_report(labels, regions, volumes["adc"], cubes, date, grade, grid),
        lesion_labels=labels,
        regions=regions,
        lesion_probability=(labels > 0).astype(np.float32),
        adc=volumes["adc"].astype(np.float32),
        images=images,
        grid=grid,
    )


def _at(volume: np.ndarray, where: np.ndarray, order: int) -> np.ndarray:
    found = ndimage.map_coordinates(volume, where, order=order, mode="constant")
    return np.asarray(found).reshape(SHAPE)


def _report(
    labels: np.ndarray,
    regions: np.ndarray,
    adc: np.ndarray,
    cubes: Sequence[Cube],
    date: str,
    grade: str,
    grid: Grid,
) -> dict[str, Any]:
    lesions = [
        _lesion(number, labels == number, regions, adc, item, grid)
        for number, item in enumerate(cubes, start=1)
        if (labels == number).any()
    ]
    tumour = labels > 0
    median = float(np.median(adc[tumour])) if tumour.any() else None
    return {
        "study": {
            "study_date": date,
            "patient_sex": "F",
            "coverage": {"lumbar_spine": "complete"},
            "missing_sequences": [],
            "grid": {"spacing_mm": [SPACING_MM] * 3},
        },
        "lesions": to_json(lesions),
        "counts": {"visible": len(lesions), "active": len(lesions)},
        "burden": {
            "tumour_volume_ml": float(tumour.sum()) * grid.voxel_ml,
            "adc_um2_per_s": {"median": median},
        },
        "pattern": {"diffuse_grade": grade},
        "alerts": [],
        "response": None,
    }


def _lesion(
    number: int, mask: np.ndarray, regions: np.ndarray, adc: np.ndarray, item: Cube, grid: Grid
) -> Lesion:
    centre = grid.points_mm(np.argwhere(mask)).mean(axis=0)
    values = [float(np.percentile(adc[mask], q)) for q in (50, 10, 90)]
    region = int(np.bincount(regions[mask], minlength=9)[1:].argmax()) + 1
    side = item["side"] * SPACING_MM
    limits = CertaintySettings().viable_adc_um2_per_s
    return Lesion(
        id=number,
        region=Region(region).key,
        kind=item.get("kind", "focal"),
        status="active" if limits[0] <= values[0] <= limits[1] else "indeterminate",
        certainty=item.get("certainty", "certain"),
        suspected_benign=None,
        probability=0.95,
        volume_ml=float(mask.sum()) * grid.voxel_ml,
        longest_diameter_mm=item.get("diameter", side * 3**0.5),
        diameter_uncertainty_mm=SPACING_MM,
        perpendicular_diameter_mm=side,
        centroid_ras_mm=(float(centre[0]), float(centre[1]), float(centre[2])),
        adc_um2_per_s=AdcStatistics(mean=values[0], median=values[0], p10=values[1], p90=values[2]),
        dwi_to_muscle=None,
        fat_fraction=None,
    )
