"""Apparent diffusion coefficient from two or more b-values."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from marrowmap.data.errors import GeometryError, StudyError
from marrowmap.data.exam import Array3D, Volume
from marrowmap.data.noise import DETECTION_SIGMA, NOISE_FLOOR_SIGMA, noise_sigma
from marrowmap.data.placement import share_grid

#: Free water at body temperature is 3,000 um2/s; above this only noise and flow are left.
ADC_MAXIMUM_UM2_PER_S = 4000.0
#: A map in um2/s whose body median lies outside this is not an ADC map.
PLAUSIBLE_MEDIAN_UM2_PER_S = (100.0, 4000.0)
#: b-values nearer than this cannot carry a decay (s/mm2).
MINIMUM_B_DIFFERENCE = 100.0


def adc_from_b_values(volumes: list[Volume]) -> Volume:
    """Return the mono-exponential ADC, fitted log-linearly, with an eye on the noise floor.

    The fit is the least-squares line through ln(signal) over b, every volume with equal weight, as scanners
    do it; with two b-values it is ln(S_low / S_high) / (b_high - b_low). Where the noise can be measured (in
    the air around the body), a signal below twice its standard deviation is left out wherever two b-values
    100 s/mm2 apart remain above it: there signal no longer falls with b, and ADC would come out too low.
    Where only the lowest b stands above, all are used and the value is a lower bound. A voxel without signal
    at some b, or whose lowest b is below three standard deviations, is 0: not measured.

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
    arrays = [v.array for v in volumes]
    has_signal = np.logical_and.reduce([a > 0 for a in arrays])
    logs = [_safe_log(a) for a in arrays]
    adc = _slope(logs, b_values)
    sigma = noise_sigma(arrays[int(np.argmax(b_values))])
    if sigma > 0:
        has_signal &= arrays[int(np.argmin(b_values))] > DETECTION_SIGMA * sigma
        _refit_above(NOISE_FLOOR_SIGMA * sigma, adc, logs, b_values, has_signal)
    adc[~has_signal] = 0.0
    np.clip(adc, 0.0, ADC_MAXIMUM_UM2_PER_S, out=adc)
    return Volume(array=adc, affine_ras_mm=volumes[0].affine_ras_mm, is_computed=True)


def _slope(logs: list[Array3D], b_values: npt.NDArray[np.float64]) -> Array3D:
    """Return minus the slope of ln(signal) over b, in um2/s."""
    centred = b_values - b_values.mean()
    adc = np.zeros_like(logs[0])
    for log, weight in zip(logs, centred / np.sum(centred**2), strict=True):
        adc -= np.float32(weight * 1e6) * log
    return adc


def _refit_above(
    floor: float,
    adc: Array3D,
    logs: list[Array3D],
    b_values: npt.NDArray[np.float64],
    has_signal: npt.NDArray[np.bool_],
) -> None:
    """Fit anew, in place, where some b-values lie in the noise and enough of the others do not."""
    codes = np.zeros(adc.shape, dtype=np.int64)
    for number, log in enumerate(logs):
        codes |= (log > np.log(floor)).astype(np.int64) << number
    some = has_signal & (codes != (1 << len(logs)) - 1)
    for code in np.unique(codes[some]):
        kept = [n for n in range(len(logs)) if code >> n & 1]
        if len(kept) >= 2 and np.ptp(b_values[kept]) >= MINIMUM_B_DIFFERENCE:
            here = some & (codes == code)
            adc[here] = _slope([logs[n][here] for n in kept], b_values[kept])


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
