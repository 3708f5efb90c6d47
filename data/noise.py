"""How strong the noise is: told from the air in the corners of a volume, where nothing else is."""

from __future__ import annotations

import numpy as np

from marrowmap.data.exam import Array3D

#: Noise alone rises above so many standard deviations in 1 of 90 voxels (Rayleigh distribution).
DETECTION_SIGMA = 3.0
#: Magnitude at this many standard deviations is 12 % above the true signal, and ever more below (Rice).
NOISE_FLOOR_SIGMA = 2.0
#: Median of magnitude noise over the standard deviation of its real and imaginary parts (Rayleigh).
_MEDIAN_OVER_SIGMA = float(np.sqrt(2 * np.log(2)))
#: Spread over mean of magnitude noise is 0.52; outside of these bounds the corner holds no plain noise.
_PLAUSIBLE_SPREAD = (0.40, 0.65)
#: The corner's share of an edge, and the least share of voxels in it that hold something.
_CORNER = 0.1
_LEAST_FILLED = 0.5
_FEWEST_VOXELS = 100


def noise_sigma(array: Array3D) -> float:
    """Return the standard deviation of the noise in a magnitude volume.

    The darkest of the four corner columns along the last axis is taken. Scanners that set the air to 0 or
    filter it leave nothing to measure.

    Args:
        array: float32 `(i, j, k)` with the slices along k, before any resampling.

    Returns:
        Sigma in the units of the signal; 0.0 where it cannot be told.
    """
    wide, high = (max(round(_CORNER * n), 2) for n in array.shape[:2])
    corners = [
        array[across, down].ravel()
        for across in (slice(0, wide), slice(-wide, None))
        for down in (slice(0, high), slice(-high, None))
    ]
    filled = [c[c > 0] for c in corners]
    usable = [
        air
        for air, corner in zip(filled, corners, strict=True)
        if air.size >= max(_FEWEST_VOXELS, _LEAST_FILLED * corner.size)
    ]
    if not usable:
        return 0.0
    darkest = min(usable, key=lambda air: float(np.median(air)))
    spread = float(darkest.std() / darkest.mean())
    if not _PLAUSIBLE_SPREAD[0] <= spread <= _PLAUSIBLE_SPREAD[1]:
        return 0.0
    return float(np.median(darkest)) / _MEDIAN_OVER_SIGMA
