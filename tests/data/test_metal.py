"""Voids where nobody has air."""

from __future__ import annotations

import numpy as np

from marrowmap.data.exam import ExamWarning, Sequence, Volume
from marrowmap.data.metal import metal_warnings

SPACING_MM = 6.0
AFFINE = np.diag([SPACING_MM, SPACING_MM, SPACING_MM, 1.0])
HIP, MIDDLE = (54, 27, 30), (40, 27, 30)


def person() -> np.ndarray:
    """A crown, a head, a neck and a trunk, 1,038 mm, upward along the last axis."""
    x, y = np.meshgrid(np.arange(80) - 40, np.arange(50) - 25, indexing="ij")
    radii = [*((5 + n, 5 + n) for n in range(8)), *[(13, 15)] * 30, *[(10, 10)] * 13, *[(33, 20)] * 122]
    planes = [(x / a) ** 2 + (y / b) ** 2 <= 1 for a, b in radii]
    return np.stack(planes[::-1], axis=-1).astype(np.float32) * 100


def with_void(body: np.ndarray, centre: tuple[int, int, int], radius_mm: float) -> np.ndarray:
    grid = np.meshgrid(*(np.arange(n) for n in body.shape), indexing="ij", sparse=True)
    distance = sum(((g - c) * SPACING_MM) ** 2 for g, c in zip(grid, centre, strict=True))
    return np.where(distance < radius_mm**2, 0.0, body)


def warnings_of(t1: np.ndarray, diffusion: np.ndarray, *, has_crown: bool = True) -> list[ExamWarning]:
    volumes = {
        s: Volume(array=a.astype(np.float32), affine_ras_mm=AFFINE)
        for s, a in ((Sequence.T1, t1), (Sequence.DWI_LOW, diffusion))
    }
    return metal_warnings(volumes, stature_m=1.70, has_crown=has_crown)


def test_a_whole_body_without_voids_brings_no_warning() -> None:
    assert warnings_of(person(), person()) == []


def test_a_void_at_a_hip_in_every_sequence_is_metal() -> None:
    (warning,) = warnings_of(with_void(person(), HIP, 22), with_void(person(), HIP, 30))
    assert warning.code == "signal_void"
    assert warning.text.startswith("no signal in any sequence at (324, 162, 180) mm, ")
    assert warning.text.endswith("at the hips: metal; what lies there cannot be judged")


def test_a_void_in_one_sequence_or_in_the_middle_of_the_pelvis_is_not_told() -> None:
    assert warnings_of(with_void(person(), HIP, 22), person()) == []
    assert warnings_of(with_void(person(), MIDDLE, 22), with_void(person(), MIDDLE, 22)) == []


def test_without_a_crown_nobody_knows_where_the_hips_are() -> None:
    body = with_void(person(), HIP, 22)
    assert warnings_of(body, body, has_crown=False) == []
