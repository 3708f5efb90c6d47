"""Which look-up tables make which image: the sequences of a protocol, ready for any station."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from marrowmap.data.exam import Sequence
from marrowmap.data.simulate.contrast import WildContrast
from marrowmap.data.simulate.effects import Effect
from marrowmap.data.simulate.labels import Tissue
from marrowmap.data.simulate.protocol import DIXON, ScannerSettings
from marrowmap.data.simulate.signal import (
    Lookup,
    SignalSettings,
    diffusion_parts,
    dixon,
    stir,
    t1_parts,
    t1_spin_echo,
)
from marrowmap.data.simulate.tissue import TEXTURE_STRIDE, TISSUE_ROWS, MaterialTable, with_contrast

#: Signal of muscle in T1, STIR and water images, and at the high b-value, before gains.
MUSCLE = 200.0
HIGH_B_MUSCLE = 50.0
#: STIR is noisier than T1 by this factor.
_STIR_NOISE = 1.5
#: What bowel loses of its diffusion signal at most when it moves.
_BOWEL_LOSS = 0.7
_BOWEL = (Tissue.BOWEL_WALL, Tissue.BOWEL_MUCOSA, Tissue.BOWEL_CONTENT, Tissue.STOMACH)


@dataclass(frozen=True, kw_only=True)
class Part:
    """One share of an image.

    Attributes:
        lookup: Signal of every material.
        is_fat: It is the fat's.
        factor: What it counts.
    """

    lookup: Lookup
    is_fat: bool = False
    factor: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One sequence's image.

    Attributes:
        sequence: What it shows.
        parts: Summed up.
        noise: Standard deviation of each noise channel.
        moves_fat: Fat appears beside its place (chemical shift).
        b_value_s_per_mm2: Diffusion weighting, None without.
    """

    sequence: Sequence
    parts: tuple[Part, ...]
    noise: float
    moves_fat: bool = False
    b_value_s_per_mm2: float | None = None


def anatomical_recipes(
    table: MaterialTable, signal: SignalSettings, scanner: ScannerSettings, contrast: WildContrast
) -> list[Recipe]:
    """Return T1, T1 after contrast, STIR and Dixon as far as the protocol has them, muscle at `MUSCLE`."""
    noise, wanted = MUSCLE / scanner.coronal_snr, scanner.sequences
    moves_fat = Effect.CHEMICAL_SHIFT in scanner.effects
    recipes = []
    for sequence, change in _SPIN_ECHOES.items():
        if sequence in wanted:
            water, fat = _bent_pair(contrast, *t1_parts(change(table), signal))
            scale = _to_muscle(t1_spin_echo(table, signal))
            parts = (Part(lookup=water * scale), Part(lookup=fat * scale, is_fat=True))
            recipes.append(Recipe(sequence=sequence, parts=parts, noise=noise, moves_fat=moves_fat))
    if Sequence.STIR in wanted:
        lookup = contrast.bent(stir(table, signal))
        part = Part(lookup=lookup * _to_muscle(lookup))
        recipes.append(Recipe(sequence=Sequence.STIR, parts=(part,), noise=noise * _STIR_NOISE))
    return [*recipes, *_dixon_recipes(table, signal, wanted & DIXON, noise)]


def _unchanged(table: MaterialTable) -> MaterialTable:
    return table


_SPIN_ECHOES: dict[Sequence, Callable[[MaterialTable], MaterialTable]] = {
    Sequence.T1: _unchanged,
    Sequence.T1_CONTRAST: with_contrast,
}


def _dixon_recipes(
    table: MaterialTable, signal: SignalSettings, wanted: frozenset[Sequence], noise: float
) -> list[Recipe]:
    if not wanted:
        return []
    fat, water = dixon(table, signal)
    scale = MUSCLE / max(float(water[Tissue.MUSCLE]), 1e-6)
    fat, water = fat * np.float32(scale), water * np.float32(scale)
    mixes = {
        Sequence.DIXON_IN: (Part(lookup=water), Part(lookup=fat)),
        Sequence.DIXON_OUT: (Part(lookup=water), Part(lookup=fat, factor=-1.0)),
        Sequence.DIXON_FAT: (Part(lookup=fat),),
        Sequence.DIXON_WATER: (Part(lookup=water),),
    }
    # Fat and water come out of the same two echoes, whether they are kept or not.
    kept = wanted | {Sequence.DIXON_FAT, Sequence.DIXON_WATER}
    return [Recipe(sequence=s, parts=parts, noise=noise) for s, parts in mixes.items() if s in kept]


def diffusion_recipes(
    table: MaterialTable, signal: SignalSettings, scanner: ScannerSettings, rng: np.random.Generator
) -> list[Recipe]:
    """Return the image at every b-value, lowest first, muscle at `HIGH_B_MUSCLE` on the highest."""
    low_b, high_b = scanner.b_values_s_per_mm2
    calm = _bowel_calm(len(table), scanner, rng)
    water, fat = diffusion_parts(table, signal, b_value_s_per_mm2=high_b)
    scale = np.float32(HIGH_B_MUSCLE / max(float((water + fat)[Tissue.MUSCLE]), 1e-9))
    recipes = []
    for b_value in (low_b, *scanner.middle_b_values_s_per_mm2, high_b):
        water, residue = diffusion_parts(table, signal, b_value_s_per_mm2=b_value)
        # Fat hardly diffuses: its image is sampled once and scaled.
        factor = float(residue[Tissue.SUBCUTANEOUS_FAT] / max(float(fat[Tissue.SUBCUTANEOUS_FAT]), 1e-12))
        recipes.append((b_value, water * calm * scale, factor))
    fat = fat * scale
    return [
        Recipe(
            sequence=Sequence.DWI_HIGH if b_value == high_b else Sequence.DWI_LOW,
            parts=(Part(lookup=water), Part(lookup=fat, is_fat=True, factor=factor)),
            noise=HIGH_B_MUSCLE / scanner.diffusion_snr,
            moves_fat=Effect.CHEMICAL_SHIFT in scanner.effects,
            b_value_s_per_mm2=b_value,
        )
        for b_value, water, factor in recipes
    ]


def _bowel_calm(rows: int, scanner: ScannerSettings, rng: np.random.Generator) -> Lookup:
    """Return what bowel keeps of its diffusion signal while it moves, 1 for everything else."""
    calm = np.ones(rows, dtype=np.float32)
    strength = scanner.effects.of(Effect.BOWEL_MOTION)
    for tissue in _BOWEL if strength else ():
        levels = slice(int(tissue), TISSUE_ROWS, TEXTURE_STRIDE)
        calm[levels] = 1 - _BOWEL_LOSS * strength * rng.random(calm[levels].shape)
    return calm


def _bent_pair(contrast: WildContrast, water: Lookup, fat: Lookup) -> tuple[Lookup, Lookup]:
    """Return both parts of a sequence bent by the curve of their sum."""
    if contrast.wildness == 0:
        return water, fat
    total = water + fat
    ratio = contrast.bent(total) / np.maximum(total, 1e-9)
    return (water * ratio).astype(np.float32), (fat * ratio).astype(np.float32)


def _to_muscle(lookup: Lookup) -> np.float32:
    return np.float32(MUSCLE / max(abs(float(lookup[Tissue.MUSCLE])), 1e-6))
