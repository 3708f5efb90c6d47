"""The traps of the real series: each handled or refused by name; stations and ADC against their makers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from marrowmap.data.adc import adc_from_b_values
from marrowmap.data.exam import Array3D, Volume
from marrowmap.data.headers import read_headers, tolerant
from marrowmap.data.noise import noise_sigma
from marrowmap.data.pixels import read_stack
from marrowmap.data.selection import Choices, parts_of
from marrowmap.data.series import group_series
from marrowmap.data.stations import compose_stations

SHARED = Path(__file__).parents[2].parent / "shared" / "dicom"
pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason="the real series (../shared/dicom) are not here")

GAP = (
    "1 gap between slices (-15.9 and -9.9 mm) where others are 3.00 mm apart: a missing slice; export the "
    "series again"
)
#: By folder: what is taken (`b 0 x 5`: five volumes), or why it is left out.
ROLES = {
    "siemens_trio_b17_pelvis_dwi_4b": ["b 0 x 1", "b 100 x 1", "b 400 x 1", "b 800 x 1"],
    "siemens_trio_b17_pelvis_adc": ["adc"],
    "siemens_trio_b17_pelvis_dwi_b1400": ["b 1400 x 1"],
    "siemens_trio_b17_pelvis_calcb1600": ["a calculated b-value, not a measured one"],
    "siemens_skyra_d11_pelvis_dwi_3b": ["b 50 x 1", "b 400 x 1", "b 800 x 1"],
    "siemens_skyra_d11_pelvis_adc": ["adc"],
    "siemens_skyra_d11_pelvis_t2tra": ["t2"],
    "siemens_skyra_missing_slice": [GAP],
    "siemens_trio_b17_localizer_3plane": ["a localizer"],
    "siemens_xa30_enh_dwi_tracew": ["b 2500 x 1"],
    "ge_pioneer_dwi_tensor": ["only 2 slices"],
    "ge_mr750_dti": ["b 0 x 1", "b 1000 x 1"],
    "ge_premier_station_I01_S25": ["echo-planar without a b-value"],
    "ge_premier_station_I11_S15": ["echo-planar without a b-value"],
    "ge_premier_station_I21_S05": ["echo-planar without a b-value"],
    "philips_achieva_dualecho_FH0": [
        "a phase image",
        "neither tags nor the description say what it shows",
    ],
    "philips_achieva_dualecho_FH60": [
        "a phase image",
        "neither tags nor the description say what it shows",
    ],
    "philips_achieva_dwi_0_40_273_800": ["b 0 x 1", "b 40 x 1", "b 273 x 1", "b 800 x 1"],
    "philips_achieva_enh_dti": ["b 0 x 1", "b 1300 x 3"],
    "uih_umr770_dti": ["b 0 x 1", "b 1000 x 16"],
}


def roles_of(folder: Path) -> list[str]:
    """What every part of a folder's series is taken for, or why it is left out."""
    found: dict[str, None] = {}
    with tolerant():
        for series in group_series(read_headers(folder)[0]):
            parts = sorted(parts_of(series, Choices()), key=lambda p: p.role.b_value_s_per_mm2 or 0)
            for part in sorted(parts, key=lambda p: p.role.reason if p.key is None else ""):
                b_value, repeats = part.role.b_value_s_per_mm2, len(part.stacks)
                words = str(part.role.sequence or part.role.reason)
                found[words if b_value is None else f"b {b_value:g} x {repeats}"] = None
            found |= dict.fromkeys(series.problems)
    return list(found)


@pytest.mark.parametrize("name", ROLES)
def test_every_series_is_taken_or_left_out_by_name(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    roles = roles_of(SHARED / name)
    with capsys.disabled():
        print(f"\n{name:40s} {'; '.join(roles)}", end="")
    assert roles == ROLES[name]


def volumes_of(name: str) -> list[Volume]:
    """The magnitude volumes of a folder, by echo and b."""
    stacks = [s for series in group_series(read_headers(SHARED / name)[0]) for s in series.stacks]
    stacks = [s for s in stacks if s.slices[0].component == "magnitude"]
    stacks.sort(key=lambda s: (s.slices[0].echo_time_ms, s.b_value_s_per_mm2 or 0.0))
    return [
        Volume(
            array=read_stack(s, quantitative=True),
            affine_ras_mm=s.affine_ras_mm,
            b_value_s_per_mm2=s.b_value_s_per_mm2,
        )
        for s in stacks
    ]


@pytest.mark.parametrize("echo", [0, 1])
def test_the_philips_stations_show_the_same_where_they_overlap(echo: int) -> None:
    first = volumes_of("philips_achieva_dualecho_FH0")[echo]
    second = volumes_of("philips_achieva_dualecho_FH60")[echo]
    composed = compose_stations([first, second], equalise=True)
    assert [seam.overlap_mm for seam in composed.seams] == [pytest.approx(60.0)]
    assert composed.volume.shape == (96, 96, 45)
    # 15 of the 30 slices of 4 mm are shared; k runs to the head, and the second station lies 60 mm lower.
    lower, upper = first.array[..., :12], second.array[..., 15:27]
    assert np.corrcoef(lower.ravel(), upper.ravel())[0, 1] > 0.999
    three_slices_off = first.array[..., 3:15]
    assert np.corrcoef(three_slices_off.ravel(), upper.ravel())[0, 1] < 0.99
    assert composed.seams[0].residual < 0.02


def test_the_ge_stations_lie_10_mm_apart() -> None:
    names = ("I01_S25", "I11_S15", "I21_S05")
    stations = [volumes_of(f"ge_premier_station_{name}")[0] for name in names]
    composed = compose_stations(stations, equalise=True)
    lowest = [round(float(v.affine_ras_mm[2, 3]), 1) for v in stations]
    assert np.diff(lowest).tolist() == pytest.approx([-10.0, -10.0])
    # Ten slices of 3 mm each, two times 10 mm on: 50 mm, of which the grid of 3 mm holds 16 planes.
    assert composed.volume.shape == (64, 64, 16)


def slope_and_correlation(ours: Array3D, theirs: Array3D, usable: Array3D) -> tuple[float, float]:
    """Our ADC over the scanner's through the origin, and their correlation, where `usable`."""
    x, y = theirs[usable > 0].astype(np.float64), ours[usable > 0].astype(np.float64)
    return float(x @ y / (x @ x)), float(np.corrcoef(x, y)[0, 1])


@pytest.mark.parametrize(
    ("diffusion", "adc", "noise"),
    [
        # The Trio's air is plain noise and is measured; the Skyra's is filtered, its values pile up at 5.
        ("siemens_trio_b17_pelvis_dwi_4b", "siemens_trio_b17_pelvis_adc", None),
        ("siemens_skyra_d11_pelvis_dwi_3b", "siemens_skyra_d11_pelvis_adc", 5.0),
    ],
)
def test_our_adc_is_the_scanners_above_the_noise(
    diffusion: str, adc: str, noise: float | None, capsys: pytest.CaptureFixture[str]
) -> None:
    by_b = volumes_of(diffusion)
    (theirs,) = volumes_of(adc)
    ours = adc_from_b_values(by_b)
    highest = by_b[-1].array
    sigma = noise_sigma(highest) or noise
    assert sigma
    usable = (highest > 3 * sigma) & (theirs.array > 0) & (ours.array > 0)
    slope, correlation = slope_and_correlation(ours.array, theirs.array, usable.astype(np.float32))
    with capsys.disabled():
        print(
            f"\n{diffusion:40s} ADC slope {slope:.3f}, correlation {correlation:.5f}, {usable.sum()} voxels"
        )
    assert correlation > 0.998
    assert 0.98 < slope < 1.05
    assert np.count_nonzero(usable) > 10_000
