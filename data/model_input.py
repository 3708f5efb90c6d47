"""What the network sees of an exam: five channels on one grid, each in units that mean the same everywhere.

One code path for training and inference. Diffusion, T1 and STIR have no unit, so they are divided by
the median of lean tissue (mostly muscle) in the same exam; ADC and fat fraction keep theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from marrowmap.data.adc import MINIMUM_B_DIFFERENCE, adc_from_b_values
from marrowmap.data.body import BodyMasks, coarse_grid, find_body, signal_floor
from marrowmap.data.errors import SettingsError
from marrowmap.data.exam import Array3D, Exam, Sequence, Volume
from marrowmap.data.grid import Grid, common_grid, resample_linear

#: Order of the network's input channels.
CHANNELS = (Sequence.DWI_HIGH, Sequence.ADC, Sequence.T1, Sequence.STIR, Sequence.FAT_FRACTION)


@dataclass(frozen=True, kw_only=True)
class ModelInputSettings:
    """How an exam becomes the network's input; recorded in the bundle and in every output.

    Attributes:
        spacing_mm: Side of a voxel of the working grid. A 5 mm focal lesion is two voxels across at 2.5 mm.
        dwi_scale: Lean-tissue multiples of the high-b diffusion signal that become 1.0 (brain is about 5).
        t1_scale: The same for T1 (subcutaneous fat is 2 to 4 times muscle).
        stir_scale: The same for STIR (an active lesion is 2 to 4 times muscle, fluid far above).
        adc_scale_um2_per_s: ADC that becomes 1.0.
        adc_maximum: Upper clip of the scaled ADC: free water is 3.0, above is noise and flow.
        signal_maximum: Upper clip of scaled diffusion, T1 and STIR: fluid and coils flare must not dominate.
    """

    spacing_mm: float = 2.5
    dwi_scale: float = 6.0
    t1_scale: float = 2.5
    stir_scale: float = 3.0
    adc_scale_um2_per_s: float = 1000.0
    adc_maximum: float = 3.5
    signal_maximum: float = 2.0

    def __post_init__(self) -> None:
        """Refuse values out of range.

        Raises:
            SettingsError: If the spacing is not 0.5 to 10 mm or a scale is not positive.
        """
        if not 0.5 <= self.spacing_mm <= 10.0:
            raise SettingsError(f"need a working spacing of 0.5 to 10 mm, found {self.spacing_mm}")
        for name, value in vars(self).items():
            if value <= 0:
                raise SettingsError(f"need a positive {name}, found {value}")


@dataclass(frozen=True, kw_only=True, eq=False)
class ModelInput:
    """The network's input of one exam.

    Attributes:
        array: float32 `(c, i, j, k)`, channels in the order of `CHANNELS`; a missing one is 0 everywhere.
        grid: Where its voxels are: isotropic, axis-aligned RAS+.
        present: For each channel, whether the exam has it.
        body: bool `(i, j, k)`, True in the body, holes filled.
        references: Lean-tissue median by sequence, in the exam's own units (1.0 for ADC and fat fraction).
    """

    array: npt.NDArray[np.float32]
    grid: Grid
    present: tuple[bool, ...]
    body: npt.NDArray[np.bool_]
    references: Mapping[str, float]

    def channel(self, sequence: Sequence) -> Array3D:
        """Return one channel `(i, j, k)` in network units, a view."""
        return self.array[CHANNELS.index(sequence)]


def to_model_input(exam: Exam, settings: ModelInputSettings | None = None) -> ModelInput:
    """Bring an exam to the working grid and to network units.

    T1 falls back on the Dixon in-phase image or on water + fat, STIR on T2, the fat fraction on the
    Dixon pair, ADC on the two diffusion volumes; what then is missing is 0 everywhere.

    Args:
        exam: The exam, stations composed.
        settings: How; the bundle's own for inference.

    Returns:
        The channels with grid, body mask and references.

    Raises:
        GeometryError: If the exam is larger than any body.
    """
    settings = settings or ModelInputSettings()
    grid = common_grid(exam, settings.spacing_mm)
    array = np.zeros((len(CHANNELS), *grid.shape), dtype=np.float32)
    present = []
    for channel, sequence in enumerate(CHANNELS):
        found = _on_grid(exam, sequence, grid)
        present.append(found is not None)
        if found is not None:
            array[channel] = found
    low_b = _on_coarse_grid(exam, Sequence.DWI_LOW, grid)
    signals = {s.value: array[c] for c, s in enumerate(CHANNELS) if s in _scales(settings) and present[c]}
    body = find_body(signals, low_b, grid)
    references = _scale_in_place(array, present, body, settings)
    return ModelInput(array=array, grid=grid, present=tuple(present), body=body.body, references=references)


def _scales(settings: ModelInputSettings) -> dict[Sequence, float]:
    """Return the lean-tissue multiple that becomes 1.0, by sequence without a unit."""
    return {
        Sequence.DWI_HIGH: settings.dwi_scale,
        Sequence.T1: settings.t1_scale,
        Sequence.STIR: settings.stir_scale,
    }


def _scale_in_place(
    array: npt.NDArray[np.float32], present: list[bool], body: BodyMasks, settings: ModelInputSettings
) -> dict[str, float]:
    references = {}
    scales = _scales(settings)
    for channel, sequence in enumerate(CHANNELS):
        if not present[channel]:
            continue
        divisor, maximum = 1.0, 1.0
        references[sequence.value] = 1.0
        if sequence in scales:
            references[sequence.value] = body.lean_median(sequence.value)
            divisor, maximum = references[sequence.value] * scales[sequence], settings.signal_maximum
        elif sequence is Sequence.ADC:
            divisor, maximum = settings.adc_scale_um2_per_s, settings.adc_maximum
        array[channel] *= np.float32(1.0 / divisor)
        np.clip(array[channel], 0.0, maximum, out=array[channel])
    return references


def _on_grid(exam: Exam, sequence: Sequence, grid: Grid) -> Array3D | None:
    """Return a sequence or what stands in for it on a grid, None when neither is there."""
    if sequence in exam:
        return _resampled(exam[sequence], grid)
    if sequence is Sequence.T1:
        return _t1_stand_in(exam, grid)
    if sequence is Sequence.STIR and Sequence.T2 in exam:
        return _resampled(exam[Sequence.T2], grid)
    if sequence is Sequence.FAT_FRACTION:
        return _fat_fraction(exam, grid)
    if sequence is Sequence.ADC:
        computed = _computed_adc(exam)
        return None if computed is None else _resampled(computed, grid)
    return None


def _resampled(volume: Volume, grid: Grid) -> Array3D:
    array = volume.array
    if not np.isfinite(array.sum(dtype=np.float64)):
        array = np.nan_to_num(array, nan=0.0, posinf=0.0, neginf=0.0)
    return resample_linear(array, volume.affine_ras_mm, grid)


def _on_coarse_grid(exam: Exam, sequence: Sequence, grid: Grid) -> Array3D | None:
    return _resampled(exam[sequence], coarse_grid(grid)) if sequence in exam else None


def _t1_stand_in(exam: Exam, grid: Grid) -> Array3D | None:
    if Sequence.DIXON_IN in exam:
        return _resampled(exam[Sequence.DIXON_IN], grid)
    if Sequence.DIXON_FAT in exam and Sequence.DIXON_WATER in exam:
        return _resampled(exam[Sequence.DIXON_FAT], grid) + _resampled(exam[Sequence.DIXON_WATER], grid)
    return None


def _fat_fraction(exam: Exam, grid: Grid) -> Array3D | None:
    """Return fat / (fat + water), 0 where both are too dark to divide."""
    if Sequence.DIXON_FAT not in exam or Sequence.DIXON_WATER not in exam:
        return None
    fat = _resampled(exam[Sequence.DIXON_FAT], grid)
    total = _resampled(exam[Sequence.DIXON_WATER], grid)
    total += fat
    # Air is noise over noise: divide only where the sum stands above it.
    floor = max(signal_floor(total[::3, ::3, ::3]), 1e-6)
    return np.divide(fat, total, out=np.zeros_like(fat), where=total > floor)


def _computed_adc(exam: Exam) -> Volume | None:
    if Sequence.DWI_LOW not in exam:
        return None
    low, high = exam[Sequence.DWI_LOW], exam[Sequence.DWI_HIGH]
    b_low, b_high = low.b_value_s_per_mm2, high.b_value_s_per_mm2
    if b_low is None or b_high is None or b_high - b_low < MINIMUM_B_DIFFERENCE:
        return None
    is_same_grid = low.shape == high.shape and np.allclose(low.affine_ras_mm, high.affine_ras_mm, atol=1e-3)
    if not is_same_grid:
        high_grid = Grid(shape=high.shape, affine_ras_mm=high.affine_ras_mm)
        low = Volume(
            array=_resampled(low, high_grid), affine_ras_mm=high.affine_ras_mm, b_value_s_per_mm2=b_low
        )
    return adc_from_b_values([low, high])
