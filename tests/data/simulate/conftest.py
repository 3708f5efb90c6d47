"""Shared by the tests of the simulator: a trunk with square vertebrae, a pelvis, a rib and a spleen."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from marrowmap.data.simulate.labels import Bone, Tissue
from marrowmap.data.simulate.variants import Variants


@pytest.fixture(scope="session")
def make_toy_body() -> Callable[[], Any]:
    return _toy_body


@pytest.fixture(scope="module")
def toy_body() -> Any:
    return _toy_body()


def _toy_body(*, shape: tuple[int, int, int] = (120, 80, 180), spacing_mm: float = 2.0) -> Any:
    """Return something with the fields of an Anatomy."""
    tissue = np.zeros(shape, dtype=np.uint8)
    bone = np.zeros(shape, dtype=np.uint8)
    i, j, _ = np.ogrid[: shape[0], : shape[1], : shape[2]]
    around = ((i - shape[0] / 2) / (0.45 * shape[0])) ** 2 + ((j - shape[1] / 2) / (0.45 * shape[1])) ** 2
    tissue[np.broadcast_to(around < 1, shape)] = Tissue.SUBCUTANEOUS_FAT
    tissue[np.broadcast_to(around < 0.75, shape)] = Tissue.MUSCLE
    middle = shape[0] // 2
    for n, level in enumerate((Bone.L5, Bone.L4, Bone.L3, Bone.L2, Bone.L1, Bone.T12, Bone.T11)):
        low = 40 + 18 * n
        _box(tissue, bone, (middle - 11, middle + 11), (20, 38), (low, low + 14), level)
        _box(tissue, bone, (middle - 6, middle + 6), (8, 16), (low, low + 10), level)
        tissue[middle - 10 : middle + 10, 21:37, low + 14 : low + 18] = Tissue.DISC
    tissue[middle - 4 : middle + 4, 16:20, 40:] = Tissue.CSF
    for side, part in ((-1, Bone.PELVIS_LEFT), (1, Bone.PELVIS_RIGHT)):
        centre = middle + side * 25
        _box(tissue, bone, (centre - 10, centre + 10), (20, 50), (2, 38), part)
    _box(tissue, bone, (middle + 30, middle + 36), (20, 60), (100, 106), Bone.RIBS)
    tissue[middle - 40 : middle - 20, 40:55, 100:130] = Tissue.SPLEEN
    affine = np.diag([spacing_mm, spacing_mm, spacing_mm, 1.0])
    affine[:3, 3] = (-shape[0] * spacing_mm / 2, -80.0, -40.0)
    person = SimpleNamespace(sex="F", age_years=60.0, stature_mm=1650.0, adiposity=0.0)
    return SimpleNamespace(tissue=tissue, bone=bone, affine_ras_mm=affine, person=person, variants=Variants())


def _box(
    tissue: np.ndarray,
    bone: np.ndarray,
    x: tuple[int, int],
    y: tuple[int, int],
    z: tuple[int, int],
    level: Bone,
) -> None:
    bone[slice(*x), slice(*y), slice(*z)] = level
    tissue[slice(*x), slice(*y), slice(*z)] = Tissue.CORTICAL_BONE
    tissue[x[0] + 1 : x[1] - 1, y[0] + 1 : y[1] - 1, z[0] + 1 : z[1] - 1] = Tissue.MARROW
