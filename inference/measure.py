"""What is measured over a set of voxels: ADC statistics, medians, one channel of the model input."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from marrowmap.data.exam import Array3D, Sequence
from marrowmap.data.model_input import CHANNELS, ModelInput
from marrowmap.inference.findings import NO_ADC, AdcStatistics

#: The model's ADC channel is in 1000 um2/s.
ADC_CHANNEL_UNIT = 1000.0
#: No tissue of the body diffuses faster than free water at 37 degrees, about 3000 um2/s.
ADC_PLAUSIBLE_UM2_PER_S = (1.0, 3400.0)


def channel(model_input: ModelInput, sequence: Sequence) -> Array3D | None:
    """Return one channel as a view `(i, j, k)`, None when the exam has no such sequence."""
    index = CHANNELS.index(sequence)
    return model_input.array[index] if model_input.present[index] else None


def adc_of(model_input: ModelInput) -> Array3D | None:
    """Return the ADC on the common grid in um2/s, None when the exam has none."""
    found = channel(model_input, Sequence.ADC)
    return None if found is None else found * np.float32(ADC_CHANNEL_UNIT)


def adc_statistics(values: npt.NDArray[np.float32]) -> AdcStatistics:
    """Return mean, median and 10th and 90th percentile.

    Args:
        values: ADC of some voxels, in um2/s; voxels without a plausible ADC (0 where the fit failed
            or nothing was imaged) are left out.

    Returns:
        All None when no plausible voxel is left.

    Example:
        >>> adc_statistics(np.array([0, 700, 800, 900], dtype=np.float32)).median
        800.0
    """
    low, high = ADC_PLAUSIBLE_UM2_PER_S
    values = values[(values >= low) & (values <= high)]
    if values.size == 0:
        return NO_ADC
    p10, median, p90 = (float(value) for value in np.percentile(values, (10, 50, 90)))
    return AdcStatistics(mean=float(values.mean(dtype=np.float64)), median=median, p10=p10, p90=p90)


def median_or_none(values: npt.NDArray[np.float32] | None) -> float | None:
    """Return the median, None for no values."""
    return float(np.median(values)) if values is not None and values.size else None
