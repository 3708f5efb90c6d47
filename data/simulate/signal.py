"""Signal equations: what each material shows on each sequence, as a look-up table.

T1: spin echo. STIR: inversion recovery nulling fat. Diffusion: echo-planar with fat inversion (STIR) or
spectral suppression (SPAIR) and mono-exponential decay. Dixon: spoiled gradient echo, fat and water apart.
Signed values: take the magnitude after partial volume. Where fat appears moved against water, the two parts
of a signal are to be had apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from marrowmap.data.errors import SettingsError
from marrowmap.data.simulate.tissue import MaterialTable

Lookup = npt.NDArray[np.float32]

_FAT_T1_T2_MS = {1.5: (343.0, 58.0), 3.0: (382.0, 68.0)}
_FAT_ADC_UM2_PER_S = 20.0
#: Protons of fat that resonate so near to water that spectral suppression leaves them.
#: Source: Hamilton, NMR Biomed 2011;24:784 (olefinic and glycerol peaks, about 5 to 9 %).
_FAT_BESIDE_WATER = 0.06
#: Water T1 grows from 1.5 to 3 T, least for muscle-like times (856 -> 898 ms, marrow 549 -> 586 ms).
_WATER_T1_AT_3T = 1.08


@dataclass(frozen=True, kw_only=True)
class SignalSettings:
    """Timings of the sequences, in ms and degrees.

    Attributes:
        field_strength_t: 1.5 or 3.
        t1_repetition_ms: Spin echo T1.
        t1_echo_ms: Spin echo T1.
        stir_repetition_ms: STIR.
        stir_echo_ms: STIR, effective.
        diffusion_repetition_ms: Echo-planar diffusion.
        diffusion_echo_ms: Echo-planar diffusion.
        diffusion_fat: How diffusion suppresses fat: inversion (STIR) keeps less water, SPAIR more fat.
        fat_null_error: Relative error of the inversion time that should null fat; leaves residual fat.
        fat_residual: Share of fat that diffusion keeps besides (chemical shift, poor shim).
        dixon_repetition_ms: Gradient echo.
        dixon_flip_deg: Gradient echo; the larger, the more T1 weighs on the fat fraction.
    """

    field_strength_t: float = 1.5
    t1_repetition_ms: float = 600.0
    t1_echo_ms: float = 10.0
    stir_repetition_ms: float = 5000.0
    stir_echo_ms: float = 45.0
    diffusion_repetition_ms: float = 7000.0
    diffusion_echo_ms: float = 75.0
    diffusion_fat: Literal["stir", "spair"] = "stir"
    fat_null_error: float = 0.0
    fat_residual: float = 0.01
    dixon_repetition_ms: float = 6.0
    dixon_flip_deg: float = 5.0

    def __post_init__(self) -> None:
        """Refuse a field strength without relaxation times.

        Raises:
            SettingsError: If the field strength is neither 1.5 nor 3.
        """
        if self.field_strength_t not in _FAT_T1_T2_MS:
            raise SettingsError(f"field strength needs 1.5 or 3 T, found {self.field_strength_t}; correct it")


def draw_signal_settings(
    rng: np.random.Generator, *, field_strength_t: float | None = None
) -> SignalSettings:
    """Return the timings of one scanner; the field strength is drawn when not given."""
    drawn = 1.5 if rng.random() < 0.6 else 3.0
    return SignalSettings(
        field_strength_t=field_strength_t or drawn,
        t1_repetition_ms=float(rng.uniform(500, 700)),
        t1_echo_ms=float(rng.uniform(8, 13)),
        stir_repetition_ms=float(rng.uniform(4000, 6500)),
        stir_echo_ms=float(rng.uniform(38, 62)),
        diffusion_repetition_ms=float(rng.uniform(5500, 9000)),
        diffusion_echo_ms=float(rng.uniform(66, 82)),
        fat_null_error=float(rng.normal(0, 0.03)),
        fat_residual=float(abs(rng.normal(0, 0.015))),
        dixon_flip_deg=float(rng.uniform(4, 11)),
    )


def t1_spin_echo(table: MaterialTable, settings: SignalSettings) -> Lookup:
    """Return the T1-weighted turbo spin echo signal of every material."""
    water, fat = t1_parts(table, settings)
    return water + fat


def t1_parts(table: MaterialTable, settings: SignalSettings) -> tuple[Lookup, Lookup]:
    """Return the water and the fat part of `t1_spin_echo`."""
    tr, te = settings.t1_repetition_ms, settings.t1_echo_ms
    fat_t1, fat_t2 = _FAT_T1_T2_MS[settings.field_strength_t]
    water = (1 - np.exp(-tr / _water_t1(table, settings))) * np.exp(-te / table.t2_ms)
    fat = (1 - np.exp(-tr / fat_t1)) * np.exp(-te / fat_t2)
    return _parts(table, water * table.flow, fat * table.flow)


def stir(table: MaterialTable, settings: SignalSettings) -> Lookup:
    """Return the STIR signal of every material, signed so that long T1 is positive."""
    tr, te = settings.stir_repetition_ms, settings.stir_echo_ms
    water = _inverted(_water_t1(table, settings), tr, settings) * np.exp(-te / table.t2_ms)
    fat_t1, fat_t2 = _FAT_T1_T2_MS[settings.field_strength_t]
    fat = _inverted(np.float32(fat_t1), tr, settings) * np.exp(-te / fat_t2)
    water, fat = _parts(table, water * table.flow, fat * table.flow)
    return water + fat


def diffusion(table: MaterialTable, settings: SignalSettings, *, b_value_s_per_mm2: float) -> Lookup:
    """Return the diffusion-weighted signal of every material at a b-value, fat suppressed."""
    water, fat = diffusion_parts(table, settings, b_value_s_per_mm2=b_value_s_per_mm2)
    return water + fat


def diffusion_parts(
    table: MaterialTable, settings: SignalSettings, *, b_value_s_per_mm2: float
) -> tuple[Lookup, Lookup]:
    """Return the water and the residual fat part of `diffusion`."""
    tr, te = settings.diffusion_repetition_ms, settings.diffusion_echo_ms
    fat_t1, fat_t2 = _FAT_T1_T2_MS[settings.field_strength_t]
    t1 = _water_t1(table, settings)
    if settings.diffusion_fat == "stir":
        kept, left = _inverted(t1, tr, settings), abs(_inverted(np.float32(fat_t1), tr, settings))
    else:
        kept, left = 1 - np.exp(-tr / t1), _FAT_BESIDE_WATER * (1 - np.exp(-tr / fat_t1))
    decay = np.exp(-b_value_s_per_mm2 * table.adc_um2_per_s * 1e-6)
    water = kept * np.exp(-te / table.t2_ms) * decay
    fat = (left + settings.fat_residual) * np.exp(
        -te / fat_t2 - b_value_s_per_mm2 * _FAT_ADC_UM2_PER_S * 1e-6
    )
    return _parts(table, water * table.flow, fat * table.flow)


def dixon(table: MaterialTable, settings: SignalSettings) -> tuple[Lookup, Lookup]:
    """Return the fat and the water signal of every material on a spoiled gradient echo."""
    fat_t1 = np.float32(_FAT_T1_T2_MS[settings.field_strength_t][0])
    water, fat = _parts(
        table,
        _spoiled(_water_t1(table, settings), settings),
        np.full_like(table.proton_density, _spoiled(fat_t1, settings)),
    )
    return fat, water


def _parts(table: MaterialTable, water: Lookup, fat: Lookup) -> tuple[Lookup, Lookup]:
    """Return what the water and the fat of every material give, each weighted by its share of the protons."""
    share = table.fat_fraction
    return (
        (table.proton_density * (1 - share) * water).astype(np.float32),
        (table.proton_density * share * fat).astype(np.float32),
    )


def _water_t1(table: MaterialTable, settings: SignalSettings) -> Lookup:
    return table.t1_ms * np.float32(1.0 if settings.field_strength_t == 1.5 else _WATER_T1_AT_3T)


def _inverted(t1_ms: Lookup | np.float32, tr: float, settings: SignalSettings) -> Lookup:
    """Return minus the recovered magnetisation at the inversion time that nulls fat."""
    fat_t1, _ = _FAT_T1_T2_MS[settings.field_strength_t]
    null_ms = fat_t1 * (np.log(2) - np.log1p(np.exp(-tr / fat_t1))) * (1 + settings.fat_null_error)
    return -(1 - 2 * np.exp(-null_ms / t1_ms) + np.exp(-tr / t1_ms))


def _spoiled(t1_ms: Lookup | np.float32, settings: SignalSettings) -> Lookup:
    recovery = np.exp(-settings.dixon_repetition_ms / t1_ms)
    flip = np.deg2rad(settings.dixon_flip_deg)
    return np.sin(flip) * (1 - recovery) / (1 - np.cos(flip) * recovery)
