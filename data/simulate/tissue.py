"""What a simulated body is made of, in numbers: proton density, relaxation, fat, diffusion.

A voxel holds an index into a `MaterialTable`; every signal is a look-up. The first 256 rows are the tissues
of `labels.Tissue`, each at four levels of texture; the marrow family (`marrow.py`) and the lesions follow.

Sources: T1 and T2 of muscle, fat, liver, spleen, kidney: de Bazelaire, Radiology 2004;230:652 (1.5 T values;
`signal.py` stretches T1 for 3 T). Where a ratio to muscle on diffusion is published (spleen, CSF), the
effective T2 and the flow factor are set to meet it. The rest are general figures, drawn with a spread for
every exam.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt

from marrowmap.data.simulate.labels import Tissue

#: Texture levels of a tissue: material index = tissue + TEXTURE_STRIDE * level.
TEXTURE_LEVELS = 4
TEXTURE_STRIDE = 64
TISSUE_ROWS = TEXTURE_LEVELS * TEXTURE_STRIDE

Column = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Material:
    """The properties that decide a voxel's signal, at 1.5 T.

    Attributes:
        proton_density: Mobile protons, muscle 1.0.
        t1_ms: Longitudinal relaxation of the water part.
        t2_ms: Transverse relaxation of the water part.
        fat_fraction: Share of the protons that are fat, 0 to 1.
        adc_um2_per_s: Apparent diffusion coefficient of the water part.
        flow: Signal that spin echoes keep when the tissue moves, 1.0 where it is still.
    """

    proton_density: float
    t1_ms: float
    t2_ms: float
    fat_fraction: float = 0.0
    adc_um2_per_s: float = 1400.0
    flow: float = 1.0


@dataclass(frozen=True, kw_only=True)
class MaterialTable:
    """One row per material; columns as in `Material`, each float32 `(materials,)`."""

    proton_density: Column
    t1_ms: Column
    t2_ms: Column
    fat_fraction: Column
    adc_um2_per_s: Column
    flow: Column

    def __len__(self) -> int:
        """Return the number of materials."""
        return len(self.proton_density)


def table_of(materials: Iterable[Material]) -> MaterialTable:
    """Return materials as a table, one row each, in order."""
    rows = list(materials)
    return MaterialTable(
        **{
            f.name: np.array([getattr(row, f.name) for row in rows], dtype=np.float32)
            for f in fields(Material)
        }
    )


def joined(*tables: MaterialTable) -> MaterialTable:
    """Return tables one below the other."""
    return MaterialTable(
        **{
            f.name: np.concatenate([getattr(table, f.name) for table in tables])
            for f in fields(MaterialTable)
        }
    )


def _m(pd: float, t1: float, t2: float, ff: float = 0.0, adc: float = 1400.0, flow: float = 1.0) -> Material:
    return Material(proton_density=pd, t1_ms=t1, t2_ms=t2, fat_fraction=ff, adc_um2_per_s=adc, flow=flow)


#: Mean properties of every tissue at 1.5 T. Marrow here is a stand-in; marrow.py replaces it voxel by voxel.
TISSUES: dict[Tissue, Material] = {
    Tissue.AIR: _m(0.0, 1000, 50),
    Tissue.SUBCUTANEOUS_FAT: _m(1.0, 900, 35, 0.94, 1000),
    Tissue.VISCERAL_FAT: _m(0.97, 900, 35, 0.90, 1200),
    Tissue.MUSCLE: _m(1.0, 856, 27, 0.03, 1400),
    Tissue.SKIN: _m(0.7, 700, 24, 0.2, 1100),
    Tissue.CORTICAL_BONE: _m(0.06, 500, 12, 0.1, 900),
    Tissue.MARROW: _m(1.0, 970, 44, 0.5, 470),
    Tissue.DISC: _m(0.85, 1050, 62, 0.0, 1650),
    Tissue.CARTILAGE: _m(0.7, 950, 32, 0.0, 1400),
    Tissue.CSF: _m(1.0, 4000, 200, 0.0, 3000, 0.7),
    Tissue.CORD: _m(0.75, 850, 68, 0.0, 950),
    Tissue.GREY_MATTER: _m(0.85, 950, 90, 0.0, 850),
    Tissue.WHITE_MATTER: _m(0.72, 650, 74, 0.0, 750),
    Tissue.LIVER: _m(0.85, 586, 43, 0.05, 1150),
    Tissue.SPLEEN: _m(0.90, 1057, 48, 0.0, 870),
    Tissue.KIDNEY: _m(0.88, 966, 76, 0.02, 1900),
    Tissue.BLADDER: _m(1.0, 3600, 320, 0.0, 2950),
    Tissue.BOWEL_WALL: _m(0.85, 900, 48, 0.05, 1400),
    Tissue.BOWEL_CONTENT: _m(0.75, 1300, 80, 0.05, 2000, 0.7),
    Tissue.GAS: _m(0.0, 1000, 50),
    Tissue.STOMACH: _m(0.75, 1500, 90, 0.0, 2200, 0.7),
    Tissue.LUNG: _m(0.07, 1100, 18, 0.0, 1500, 0.7),
    Tissue.HEART: _m(0.9, 1000, 42, 0.03, 1900, 0.4),
    Tissue.BLOOD: _m(0.9, 1450, 150, 0.0, 2500, 0.12),
    Tissue.PANCREAS: _m(0.85, 600, 46, 0.12, 1300),
    Tissue.GALLBLADDER: _m(0.95, 2200, 260, 0.0, 2800),
    Tissue.PROSTATE: _m(0.9, 1250, 76, 0.0, 1400),
    Tissue.TESTIS: _m(0.95, 1200, 110, 0.0, 1050),
    Tissue.UTERUS: _m(0.9, 1150, 68, 0.0, 1300),
    Tissue.OVARY: _m(0.9, 1350, 95, 0.0, 1450),
    Tissue.SALIVARY_GLAND: _m(0.9, 750, 55, 0.25, 950),
    Tissue.THYROID: _m(0.85, 900, 62, 0.0, 1250),
    Tissue.EYE: _m(1.0, 3300, 300, 0.0, 2800),
    Tissue.LYMPH_NODE: _m(0.9, 950, 62, 0.05, 950),
    Tissue.TONGUE: _m(0.95, 850, 36, 0.15, 1300),
    Tissue.BREAST: _m(0.9, 1050, 52, 0.45, 1700),
    Tissue.ADRENAL: _m(0.85, 850, 55, 0.05, 1050),
    Tissue.METAL: _m(0.0, 1000, 50),
    Tissue.RENAL_MEDULLA: _m(0.92, 1250, 85, 0.0, 2000),
    Tissue.ENDOMETRIUM: _m(0.95, 1400, 120, 0.0, 1250),
    Tissue.THIN_CORTEX: _m(0.42, 900, 30, 0.45, 500),
    Tissue.MEDULLARY_CAVITY: _m(1.0, 970, 44, 0.9, 400),
    Tissue.BOWEL_MUCOSA: _m(0.9, 950, 52, 0.0, 1400),
    Tissue.PERIPHERAL_ZONE: _m(0.95, 1500, 130, 0.0, 1700),
    Tissue.CAVERNOUS_BODY: _m(0.9, 1200, 70, 0.0, 1500),
    Tissue.NERVE: _m(0.85, 950, 78, 0.08, 1100),
}

#: How relaxation changes from 1.5 to 3 T: T1 beyond the 8 % that `signal.py` gives to everything, and T2. T2
#: of muscle and spleen stays: the published ratios to muscle on diffusion must hold at both fields.
#: Source: de Bazelaire, Radiology 2004;230:652 (ratios of its two columns); brain: Stanisz, Magn Reson Med
#: 2005;54:507.
AT_3T: dict[Tissue, tuple[float, float]] = {
    Tissue.MUSCLE: (0.97, 1.0),
    Tissue.LIVER: (1.28, 0.90),
    Tissue.SPLEEN: (1.16, 1.0),
    Tissue.KIDNEY: (1.09, 1.0),
    Tissue.PANCREAS: (1.15, 0.94),
    Tissue.PROSTATE: (1.12, 0.90),
    Tissue.UTERUS: (1.02, 0.90),
    Tissue.GREY_MATTER: (1.28, 0.95),
    Tissue.WHITE_MATTER: (1.20, 0.95),
    Tissue.CORD: (1.15, 0.95),
    Tissue.BLOOD: (1.15, 0.70),
    Tissue.HEART: (1.08, 1.0),
}
#: How strongly tissues take up contrast agent, the lesion of a plasma-cell disease being 1.0.
_UPTAKE = {
    Tissue.BLOOD: 2.2, Tissue.KIDNEY: 2.6, Tissue.SPLEEN: 1.4, Tissue.LIVER: 1.0, Tissue.PANCREAS: 1.2,
    Tissue.THYROID: 1.4, Tissue.HEART: 1.0, Tissue.BOWEL_WALL: 0.9, Tissue.UTERUS: 1.2, Tissue.PROSTATE: 0.8,
    Tissue.LYMPH_NODE: 0.8, Tissue.SALIVARY_GLAND: 0.8, Tissue.MUSCLE: 0.25, Tissue.ADRENAL: 1.0,
    Tissue.SUBCUTANEOUS_FAT: 0.1, Tissue.VISCERAL_FAT: 0.1, Tissue.SKIN: 0.4, Tissue.BREAST: 0.4,
    Tissue.TESTIS: 0.5, Tissue.OVARY: 0.6, Tissue.TONGUE: 0.5,
}  # fmt: skip
#: Growth of the relaxation rate at an uptake of 1.0, per ms (a routine dose, some minutes after injection).
_CONTRAST_RATE_PER_MS = 0.0011

#: Tissues whose content differs from person to person far more than the spread of the others.
_VARIABLE = {
    Tissue.BOWEL_CONTENT: 3.0,
    Tissue.STOMACH: 3.0,
    Tissue.DISC: 2.0,
    Tissue.HEART: 2.0,
    Tissue.BLOOD: 2.5,
}
#: Fluids are uniform.
_UNIFORM = {Tissue.CSF, Tissue.BLADDER, Tissue.GALLBLADDER, Tissue.EYE, Tissue.STOMACH, Tissue.BLOOD}
#: Share of fat that texture adds to the fattiest quarter of a tissue (streaks of fat in muscle).
_STREAKS = {Tissue.MUSCLE: 0.10, Tissue.TONGUE: 0.15, Tissue.BREAST: 0.25, Tissue.PANCREAS: 0.15}
_LEVEL_OFFSETS = (-1.27, -0.32, 0.32, 1.27)  # means of the four quarters of a normal distribution


def draw_tissues(rng: np.random.Generator, *, spread: float = 0.06) -> MaterialTable:
    """Return this exam's tissues, each at four levels of texture.

    Args:
        rng: Source of randomness.
        spread: Standard deviation of the logarithm of each property between people.

    Returns:
        256 rows: row `tissue + 64 * level` is a tissue at a texture level.
    """
    drawn = {tissue: _drawn(tissue, TISSUES[tissue], rng, spread) for tissue in Tissue}
    drawn[Tissue.LIVER] = _steatotic(drawn[Tissue.LIVER], rng)
    nothing = TISSUES[Tissue.AIR]
    rows = []
    for level in range(TEXTURE_LEVELS):
        by_value = {int(tissue): _textured(tissue, material, level) for tissue, material in drawn.items()}
        rows += [by_value.get(value, nothing) for value in range(TEXTURE_STRIDE)]
    return table_of(rows)


def at_field(table: MaterialTable, field_strength_t: float) -> MaterialTable:
    """Return materials as they relax at a field strength, as far as that differs from tissue to tissue.

    Args:
        table: At 1.5 T; its first 256 rows are the tissues, what follows changes with `signal.py` alone.
        field_strength_t: 1.5 or 3.
    """
    if field_strength_t == 1.5:
        return table
    t1, t2 = np.ones(len(table), dtype=np.float32), np.ones(len(table), dtype=np.float32)
    for tissue, (t1_factor, t2_factor) in AT_3T.items():
        t1[_rows_of(tissue)], t2[_rows_of(tissue)] = t1_factor, t2_factor
    return replace(table, t1_ms=table.t1_ms * t1, t2_ms=table.t2_ms * t2)


def with_contrast(table: MaterialTable) -> MaterialTable:
    """Return materials some minutes after a contrast agent: T1 shortened by how much each takes up.

    Normal adult marrow hardly takes up any, cellular marrow and lesions do; fat and stagnant fluid do not.
    """
    cellular = np.clip((table.adc_um2_per_s - 500) / 250, 0.1, 1.0) * (table.proton_density > 0.3)
    uptake = np.where(table.t2_ms > 100, 0.05, cellular).astype(np.float32)
    uptake[:TISSUE_ROWS] = 0.05
    for tissue, value in _UPTAKE.items():
        uptake[_rows_of(tissue)] = value
    return replace(table, t1_ms=1 / (1 / table.t1_ms + np.float32(_CONTRAST_RATE_PER_MS) * uptake))


def _rows_of(tissue: Tissue) -> slice:
    """Return the rows of a tissue, one for each texture level."""
    return slice(int(tissue), TISSUE_ROWS, TEXTURE_STRIDE)


def _drawn(tissue: Tissue, mean: Material, rng: np.random.Generator, spread: float) -> Material:
    scale = spread * _VARIABLE.get(tissue, 1.0)
    pd, t1, t2, adc, ff = np.exp(scale * rng.standard_normal(5)).clip(0.4, 2.5)
    if tissue is Tissue.MUSCLE:  # everything published is relative to muscle: keep it nearly fixed
        pd, t1, t2, adc = pd**0.25, t1**0.25, t2**0.25, adc**0.5
    return Material(
        proton_density=mean.proton_density * float(pd**0.5),
        t1_ms=mean.t1_ms * float(t1),
        t2_ms=mean.t2_ms * float(t2),
        fat_fraction=min(mean.fat_fraction * float(ff), 0.98),
        adc_um2_per_s=min(mean.adc_um2_per_s * float(adc), 3100.0),
        flow=min(mean.flow * float(np.exp(3 * scale * rng.standard_normal())), 1.0) if mean.flow < 1 else 1.0,
    )


def _steatotic(liver: Material, rng: np.random.Generator) -> Material:
    fat = 0.05 if rng.random() < 0.7 else float(rng.uniform(0.08, 0.28))
    return _m(liver.proton_density, liver.t1_ms, liver.t2_ms, fat, liver.adc_um2_per_s)


def _textured(tissue: Tissue, material: Material, level: int) -> Material:
    offset = 0.0 if tissue in _UNIFORM else _LEVEL_OFFSETS[level]
    streaks = _STREAKS.get(tissue, 0.0) if level == TEXTURE_LEVELS - 1 else 0.0
    return Material(
        proton_density=material.proton_density * (1 + 0.03 * offset),
        t1_ms=material.t1_ms,
        t2_ms=material.t2_ms * (1 + 0.03 * offset),
        fat_fraction=min(material.fat_fraction + streaks, 0.98),
        adc_um2_per_s=material.adc_um2_per_s * (1 - 0.04 * offset),
        flow=material.flow,
    )
