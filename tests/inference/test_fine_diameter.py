"""A ball in a bone, drawn on slices of 1 x 1 x 4 mm; its outline on the grid is coarser than it is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from marrowmap.data.components import diameters_mm
from marrowmap.data.exam import Exam, Sequence, Volume
from marrowmap.data.grid import Grid
from marrowmap.inference.fine_diameter import FineRuler, FineSettings, finest_sequence

GRID = Grid(shape=(40, 40, 40), affine_ras_mm=np.diag([2.5, 2.5, 2.5, 1.0]))
#: The middle of a pixel, of a slice and of a voxel alike.
MIDDLE_MM = np.array([50.0, 50.0, 48.0])
BONE = np.ones(GRID.shape, dtype=bool)


def volume(signal: float, *, pixel_mm: float = 1.0, diameter_mm: float = 6.0, noise: float = 1.0) -> Volume:
    """Bone of 100 with a ball of another signal, in axial slices of 4 mm."""
    spacing = np.array([pixel_mm, pixel_mm, 4.0])
    shape = tuple(int(100 / side) for side in spacing)
    points = np.moveaxis(np.indices(shape), 0, -1) * spacing
    is_ball = np.square(points - MIDDLE_MM).sum(axis=-1) <= (diameter_mm / 2) ** 2
    values = np.where(is_ball, signal, 100.0) + np.random.default_rng(0).normal(0.0, noise, shape)
    return Volume(array=values.astype(np.float32), affine_ras_mm=np.diag([*spacing, 1.0]))


def exam(**volumes: Volume) -> Exam:
    high = Volume(
        array=np.ones((8, 8, 8), dtype=np.float32),
        affine_ras_mm=np.diag([3, 3, 5, 1.0]),
        b_value_s_per_mm2=900.0,
    )
    named = {Sequence(name): found for name, found in volumes.items()}
    return Exam(volumes={Sequence.DWI_HIGH: high, **named})


def outline(radius_mm: float = 3.0) -> np.ndarray:
    points = np.moveaxis(np.indices(GRID.shape), 0, -1) * 2.5
    return np.argwhere(np.square(points - MIDDLE_MM).sum(axis=-1) <= radius_mm**2)


def measured(found: Exam, **settings: Any) -> Any:
    voxels = outline()
    ruler = FineRuler(found, GRID, BONE, FineSettings(**settings))
    return ruler.measure(voxels, diameters_mm(voxels, GRID.spacing_mm))


@pytest.mark.parametrize(("name", "signal"), [("stir", 200.0), ("t1", 40.0)])
def test_a_ball_of_6_mm_is_7_pixels_of_1_mm_wide_bright_or_dark(name: str, signal: float) -> None:
    found = measured(exam(**{name: volume(signal)}))
    # The outermost pixel centres lie 3 mm off the middle: 6 mm and one pixel.
    assert found.diameters.longest_mm == pytest.approx(7.0, abs=0.5)
    assert found.uncertainty_mm == 1.0
    assert found.sequence == Sequence(name)


def test_the_sequence_with_the_smallest_pixels_is_taken() -> None:
    both = exam(t1=volume(40.0, pixel_mm=2.0), stir=volume(200.0, pixel_mm=1.25))
    assert finest_sequence(both, GRID) == Sequence.STIR
    assert (
        finest_sequence(exam(t1=volume(40.0, pixel_mm=1.0), stir=volume(200.0, pixel_mm=2.0)), GRID)
        == Sequence.T1
    )


def test_nothing_finer_than_the_grid_leaves_the_grid() -> None:
    coarse = exam(stir=volume(200.0, pixel_mm=2.5))
    assert finest_sequence(coarse, GRID) is None
    assert measured(coarse) is None


def test_without_contrast_the_grid_stays() -> None:
    assert measured(exam(stir=volume(110.0, noise=20.0))) is None


def test_a_lesion_larger_than_the_limit_is_measured_on_the_grid() -> None:
    assert measured(exam(stir=volume(200.0)), largest_mm=5.0) is None


def test_background_is_bone_only() -> None:
    voxels = outline()
    ruler = FineRuler(exam(stir=volume(200.0)), GRID, np.zeros(GRID.shape, dtype=bool))
    assert ruler.measure(voxels, diameters_mm(voxels, GRID.spacing_mm)) is None


def test_a_lesion_beyond_the_volume_keeps_its_diameter_on_the_grid() -> None:
    found = exam(stir=volume(200.0))
    voxels = outline() + np.array([0, 0, 100])
    far = Grid(shape=(40, 40, 200), affine_ras_mm=GRID.affine_ras_mm)
    ruler = FineRuler(found, far, np.ones(far.shape, dtype=bool))
    assert ruler.measure(voxels, diameters_mm(voxels, far.spacing_mm)) is None
