"""What can be seen to be wrong in the images themselves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from marrowmap.data.exam import Sequence, Volume
from marrowmap.data.headers import read_headers
from marrowmap.data.image_quality import image_warnings
from marrowmap.data.metal import metal_warnings
from marrowmap.data.pixels import read_stack
from marrowmap.data.series import group_series

SHARED = Path(__file__).parents[2].parent / "shared" / "dicom"
AFFINE = np.diag([5.0, 5.0, 6.0, 1.0])


def trunk(signal: float = 200.0, *, sigma: float = 10.0, seed: int = 1) -> np.ndarray:
    """An upright cylinder, 300 x 200 mm across and 480 mm long, in air, with Rician noise."""
    x, y = np.meshgrid(np.arange(80) * 5.0 - 197.5, np.arange(56) * 5.0 - 137.5, indexing="ij")
    plane = np.where((x / 150) ** 2 + (y / 100) ** 2 < 1, signal, 0.0)
    clean = np.repeat(plane[..., None], 80, axis=2)
    real, imaginary = np.random.default_rng(seed).normal(0.0, sigma, (2, *clean.shape))
    return np.hypot(clean + real, imaginary).astype(np.float32)


def volume(array: np.ndarray) -> Volume:
    return Volume(array=array.astype(np.float32), affine_ras_mm=AFFINE)


def codes(*arrays: np.ndarray) -> list[str]:
    """Warning codes of an exam with T1 and, as the last, high-b diffusion."""
    names: list[Sequence] = [Sequence.T1, Sequence.DWI_HIGH]
    volumes = dict(zip(names[-len(arrays) :], map(volume, arrays), strict=True))
    return [warning.code for warning in (*image_warnings(volumes), *metal_warnings(volumes))]


def test_a_plain_body_brings_no_warning() -> None:
    assert codes(trunk(500), trunk(200)) == []


def test_a_signal_of_few_times_the_noise_is_low() -> None:
    (warning,) = image_warnings({Sequence.DWI_HIGH: volume(trunk(30))})
    assert warning.code == "low_signal"
    assert warning.text.startswith("dwi_high has a signal of 2.4 times its noise, need 5")
    assert codes(trunk(80)) == []


def test_noise_alone_shows_no_image() -> None:
    (warning,) = image_warnings({Sequence.T1: volume(trunk(0))})
    assert warning.code == "no_image"
    assert warning.text.startswith("t1 shows no image: neighbouring voxels have nothing in common")


def test_a_slice_that_lost_half_its_signal_is_told_with_its_place() -> None:
    array = trunk(200)
    array[..., 30] *= 0.5
    (warning,) = image_warnings({Sequence.DWI_HIGH: volume(array)})
    assert warning.code == "motion"
    assert warning.text == (
        "1 slice of dwi_high lost up to 50 % of the signal of their neighbours (z = 180 mm): motion"
    )


def test_a_body_that_ends_is_no_motion() -> None:
    array = trunk(200)
    array[..., 60:] = trunk(0, seed=2)[..., 60:]
    assert codes(array) == []


def ball(array: np.ndarray, centre: tuple[int, int, int], radius_mm: float) -> np.ndarray:
    """The array with a ball set to nothing."""
    grid = np.meshgrid(*(np.arange(n) for n in array.shape), indexing="ij")
    distance = sum(((g - c) * s) ** 2 for g, c, s in zip(grid, centre, (5, 5, 6), strict=True))
    return np.where(distance < radius_mm**2, 0.0, array)


def test_a_void_at_the_spine_in_all_sequences_is_metal() -> None:
    # The ball on diffusion is larger, as metal's is; the smaller one on T1 is what both share: 2 cm, 33 ml.
    t1, high = ball(trunk(500), (40, 17, 28), 20), ball(trunk(200), (40, 17, 28), 30)
    (warning,) = metal_warnings({Sequence.T1: volume(t1), Sequence.DWI_HIGH: volume(high)})
    assert warning.code == "signal_void"
    assert warning.text.startswith("no signal in any sequence at (200, 85, 168) mm, ")
    assert 25 < float(warning.text.split(" mm, ")[1].split()[0]) < 42


def test_a_void_where_gas_is_at_home_or_in_one_sequence_only_is_not_told() -> None:
    spine, front, high_up, thigh = (40, 17, 28), (40, 38, 28), (40, 17, 60), (40, 17, 10)
    assert codes(trunk(500), ball(trunk(200), spine, 20)) == []
    for place in (front, high_up, thigh):
        assert codes(ball(trunk(500), place, 20), ball(trunk(200), place, 20)) == []


@pytest.mark.parametrize("value", [0.0, 5.0])
def test_empty_volumes_are_none_of_our_business(value: float) -> None:
    assert codes(np.full((8, 8, 8), value), np.full((8, 8, 8), value)) == []


@pytest.mark.skipif(not SHARED.is_dir(), reason="the real series (../shared/dicom) are not here")
@pytest.mark.parametrize(
    ("name", "expected"),
    [("philips_achieva_dwi_0_40_273_800", "no_image"), ("siemens_skyra_d11_pelvis_t2tra", "")],
)
def test_scrambled_pixels_are_seen_and_a_pelvis_is_not_scrambled(name: str, expected: str) -> None:
    stack = group_series(read_headers(SHARED / name)[0])[0].stacks[-1]
    real = Volume(array=read_stack(stack, quantitative=False), affine_ras_mm=stack.affine_ras_mm)
    assert [w.code for w in image_warnings({Sequence.T2: real})] == ([expected] if expected else [])
