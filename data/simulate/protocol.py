"""A whole-body protocol on one scanner: which sequences, how fine, in how many stations, how noisy."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from marrowmap.data.errors import SettingsError
from marrowmap.data.exam import Sequence
from marrowmap.data.simulate.effects import Effect, Effects, draw_effects

Orientation = Literal["sagittal", "coronal", "axial"]

DIXON = frozenset({Sequence.DIXON_IN, Sequence.DIXON_OUT, Sequence.DIXON_FAT, Sequence.DIXON_WATER})
DIFFUSION = frozenset({Sequence.DWI_LOW, Sequence.DWI_HIGH, Sequence.ADC})
#: Everything a protocol may hold; the opposed phase and T1 after contrast are left out unless asked for.
FULL_PROTOCOL = frozenset({Sequence.T1, Sequence.STIR}) | DIFFUSION | (DIXON - {Sequence.DIXON_OUT})


@dataclass(frozen=True, kw_only=True)
class ScannerSettings:
    """One whole-body protocol on one scanner.

    Attributes:
        sequences: What is acquired; ADC needs both b-values and is computed from their noisy images.
        coronal_spacing_mm: In-plane voxel side of T1, STIR and Dixon, coronal or not.
        coronal_slice_mm: Their slice step.
        axial_spacing_mm: In-plane voxel side of diffusion, axial or not.
        axial_slice_mm: Its slice step.
        coronal_stations: Number of stations of T1, STIR and Dixon.
        axial_stations: Number of stations of diffusion.
        overlap_mm: Of neighbouring stations.
        b_values_s_per_mm2: Low and high.
        middle_b_values_s_per_mm2: What is acquired besides, between the two.
        coronal_snr: Muscle signal over noise, T1 and Dixon; STIR has two thirds of it.
        diffusion_snr: Muscle signal over noise at the high b-value.
        gain_spread: Standard deviation of the logarithm of a station's gain.
        bias_spread: Standard deviation of the logarithm of the smooth bias.
        diffusion_shift_mm: Standard deviation of each station's shift against T1, along x, y and z.
        diffusion_stretch: Standard deviation of the stretch along the phase axis (y).
        t1_orientation: Of T1 and Dixon slices.
        stir_orientation: Of STIR slices.
        diffusion_orientation: Of diffusion slices.
        effects: What else happens to the images.
    """

    sequences: frozenset[Sequence] = FULL_PROTOCOL
    coronal_spacing_mm: float = 1.8
    coronal_slice_mm: float = 5.0
    axial_spacing_mm: float = 2.75
    axial_slice_mm: float = 5.0
    coronal_stations: int = 4
    axial_stations: int = 4
    overlap_mm: float = 25.0
    b_values_s_per_mm2: tuple[float, float] = (50.0, 900.0)
    coronal_snr: float = 28.0
    diffusion_snr: float = 7.0
    gain_spread: float = 0.10
    bias_spread: float = 0.09
    diffusion_shift_mm: float = 1.0
    diffusion_stretch: float = 0.01
    middle_b_values_s_per_mm2: tuple[float, ...] = ()
    t1_orientation: Orientation = "coronal"
    stir_orientation: Orientation = "coronal"
    diffusion_orientation: Orientation = "axial"
    effects: Effects = field(default_factory=Effects)

    def __post_init__(self) -> None:
        """Refuse a protocol that no scanner could run.

        Raises:
            SettingsError: If spacings, stations or b-values are out of range.
        """
        if (
            min(self.coronal_spacing_mm, self.axial_spacing_mm, self.coronal_slice_mm, self.axial_slice_mm)
            < 0.8
        ):
            raise SettingsError("voxels need sides of 0.8 mm or more; correct the scanner settings")
        if min(self.coronal_stations, self.axial_stations) < 1:
            raise SettingsError("need at least one station; correct the scanner settings")
        low, high = self.b_values_s_per_mm2
        if not 0 <= low < high:
            raise SettingsError(f"b-values need low < high, found {low:g} and {high:g}; correct the settings")
        if any(not low < b < high for b in self.middle_b_values_s_per_mm2):
            raise SettingsError(
                f"middle b-values need to lie between {low:g} and {high:g}; correct the settings"
            )


def draw_scanner_settings(
    rng: np.random.Generator, *, effects: frozenset[str] | None = None
) -> ScannerSettings:
    """Return a protocol drawn from what whole-body protocols are: most full, some without Dixon or T1.

    Args:
        rng: Source of randomness.
        effects: Names of the effects to show, all others absent; None draws them too.

    Raises:
        SettingsError: If an effect is unknown.
    """
    drawn = draw_effects(rng, wanted=effects)
    t1_orientation, stir_orientation = _draw_orientations(rng)
    sequences = _draw_sequences(rng, drawn)
    middle = _middle_b_values(rng, drawn)
    return ScannerSettings(
        sequences=sequences,
        coronal_spacing_mm=float(rng.uniform(1.4, 2.0)),
        coronal_slice_mm=float(rng.choice([4.0, 4.5, 5.0, 5.0, 5.5])),
        axial_spacing_mm=float(rng.uniform(2.2, 3.0)),
        axial_slice_mm=float(rng.choice([4.0, 5.0, 5.0, 5.0, 6.0])),
        coronal_stations=int(rng.integers(3, 6)),
        axial_stations=int(rng.integers(4, 6)),
        overlap_mm=float(rng.choice([20.0, 25.0, 30.0, 40.0])),
        b_values_s_per_mm2=(50.0, float(rng.choice([800.0, 900.0, 900.0, 1000.0]))),
        middle_b_values_s_per_mm2=middle,
        coronal_snr=float(rng.uniform(18, 38)),
        diffusion_snr=float(rng.uniform(5.5, 11)),
        gain_spread=float(rng.uniform(0.02, 0.18)),
        bias_spread=float(rng.uniform(0.04, 0.13)),
        diffusion_shift_mm=float(rng.uniform(0.3, 1.8)),
        diffusion_stretch=float(rng.uniform(0.0, 0.015)),
        t1_orientation=t1_orientation,
        stir_orientation=stir_orientation,
        diffusion_orientation="coronal" if rng.random() < 0.06 else "axial",
        effects=drawn,
    )


def _draw_orientations(rng: np.random.Generator) -> tuple[Orientation, Orientation]:
    """Return the orientations of T1 and STIR: mostly coronal, mostly alike."""
    orientations: tuple[Orientation, ...] = ("coronal", "axial", "sagittal")
    first, other = rng.choice(3, size=2, p=(0.7, 0.22, 0.08))
    stir = other if rng.random() < 0.2 else first
    return orientations[int(first)], orientations[int(stir)]


def _draw_sequences(rng: np.random.Generator, effects: Effects) -> frozenset[Sequence]:
    kind, which = rng.random(2)
    sequences = FULL_PROTOCOL
    if kind < 0.25:
        sequences -= DIXON
    elif kind < 0.45:
        sequences -= {Sequence.T1}
    if Effect.MISSING_SEQUENCE in effects:
        lost = (Sequence.STIR, Sequence.ADC, Sequence.DWI_LOW)[int(3 * which)]
        sequences -= {lost}
    if Effect.POST_CONTRAST in effects:
        sequences |= {Sequence.T1_CONTRAST}
    return sequences


def _middle_b_values(rng: np.random.Generator, effects: Effects) -> tuple[float, ...]:
    """Return the b-values between low and high: one or two where several are acquired."""
    drawn = rng.random() < 0.5
    if Effect.SEVERAL_B not in effects:
        return ()
    return (400.0,) if drawn else (200.0, 600.0)
