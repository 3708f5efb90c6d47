"""Apparent diffusion coefficient from two or more b-values."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from marrowmap.data.errors import GeometryError, StudyError
from marrowmap.data.exam import Array3D, Volume
from marrowmap.data.placement import share_grid

#: Free water at body temperature is 3,000 um2/s; above this only noise and flow are left.
ADC_MAXIMUM_UM2_PER_S = 4000.0
#: A map in um2/s whose body median lies outside this is not an ADC map.
PLAUSIBLE_MEDIAN_UM2_PER_S = (100.0, 4000.0)
#: b-values nearer than this cannot carry a decay (s/mm2).
MINIMUM_B_DIFFERENCE = 100.0


def adc_from_b_values(volumes: list[Volume]) -> Volume:
    """Return the mono-exponential ADC, fitted log-linearly.

    The fit is the least-squares line through ln(signal) over b, every volume with equal weight; with two
    b-values it is ln(S_low / S_high) / (b_high - b_low). A voxel without signal at any b is 0.

    Args:
        volumes: Two or more volumes on one grid, each with its b-value (s/mm2), repeats allowed.

    Returns:
        ADC in um2/s on the same grid, clipped to [0, 4000], `is_computed` True.

    Raises:
        StudyError: If fewer than two b-values 100 s/mm2 apart are there.
        GeometryError: If the grids differ.
    """
    b_values = _b_values(volumes)
    _check_one_grid(volumes)
    centred = b_values - b_values.mean()
    slope_weights = centred / np.sum(centred**2)
    adc = np.zeros(volumes[0].shape, dtype=np.float32)
    has_signal = np.ones(volumes[0].shape, dtype=bool)
    for volume, weight in zip(volumes, slope_weights, strict=True):
        has_signal &= volume.array > 0
        adc -= np.float32(weight * 1e6) * _safe_log(volume.array)
    adc[~has_signal] = 0.0
    np.clip(adc, 0.0, ADC_MAXIMUM_UM2_PER_S, out=adc)
    return Volume(array=adc, affine_ras_mm=volumes[0].affine_ras_mm, is_computed=True)


def _b_values(volumes: list[Volume]) -> np.ndarray:
    """Return the b-values (s/mm2), refused where no decay can be fitted."""
    known = [v.b_value_s_per_mm2 for v in volumes if v.b_value_s_per_mm2 is not None]
    if len(known) != len(volumes) or not known or max(known) - min(known) < MINIMUM_B_DIFFERENCE:
        raise StudyError(
            f"cannot compute ADC: found b = {sorted(known)} s/mm2 over {len(volumes)} volumes, need two "
            f"b-values at least {MINIMUM_B_DIFFERENCE:g} apart; export the scanner's ADC or all b-values"
        )
    return np.array(known, dtype=np.float64)


def _check_one_grid(volumes: list[Volume]) -> None:
    """Refuse volumes that do not share shape and affine.

    Raises:
        GeometryError: If they differ.
    """
    first = volumes[0]
    for other in volumes[1:]:
        if not share_grid(first, other):
            raise GeometryError(
                f"cannot compute ADC: b = {first.b_value_s_per_mm2:g} and {other.b_value_s_per_mm2:g} lie on "
                f"different grids ({first.shape} and {other.shape} voxels); resample them to one grid first"
            )


def _safe_log(array: Array3D) -> Array3D:
    """Return ln of the signal, float32; voxels without signal are masked by the caller."""
    return np.log(np.maximum(array, np.float32(1e-6)), dtype=np.float32)


def adc_unit_factor(arrays: Iterable[Array3D]) -> float:
    """Return the factor from a scanner's ADC map to um2/s, inferred from the median of its positive voxels.

    Scanners and converters write 1e-6 mm2/s (median about 1,000), 1e-3 mm2/s (about 1) or mm2/s (about
    0.001), mostly without saying which.

    Args:
        arrays: The map's stations, float32 `(i, j, k)`, one unit for all; 0 where not measured.

    Returns:
        1, 1e3 or 1e6.

    Raises:
        StudyError: If no unit makes the median lie between 100 and 4,000 um2/s.
    """
    samples = [array[::2, ::2, ::2] for array in arrays]
    positive = np.concatenate([sample[sample > 0] for sample in samples])
    median = float(np.median(positive)) if positive.size else 0.0
    low, high = PLAUSIBLE_MEDIAN_UM2_PER_S
    for factor in (1.0, 1e3, 1e6):
        if low <= median * factor <= high:
            return factor
    raise StudyError(
        f"not an ADC map in a known unit: its median is {median:g}, need {low:g} to {high:g} "
        "um2/s (1e-6 mm2/s), or the same in 1e-3 mm2/s or mm2/s; ADC is computed without it"
    )
