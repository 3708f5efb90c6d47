"""What myeloma does to a body: a pattern, diffuse infiltration, lesions, and what only looks like them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from marrowmap.data.errors import SettingsError
from marrowmap.data.simulate.disease_settings import DiseaseSettings
from marrowmap.data.simulate.labels import Bone
from marrowmap.data.simulate.lesions import paint_focal_lesions, paint_micronodules
from marrowmap.data.simulate.marrow import (
    MarrowState,
    healthy_marrow,
    infiltrated,
    marrow_index,
    marrow_table,
)
from marrowmap.data.simulate.mimics import paint_mimic, paint_mimics
from marrowmap.data.simulate.painting import PaintedBody
from marrowmap.data.simulate.spread import paint_extramedullary, paint_malignant_collapse
from marrowmap.data.simulate.texture import add_tiled, broad_noise, levels_of, noise_tile, tile_at
from marrowmap.data.simulate.tissue import (
    TEXTURE_LEVELS,
    TEXTURE_STRIDE,
    MaterialTable,
    draw_tissues,
    joined,
    table_of,
)
from marrowmap.data.simulate.truth import DiffuseGrade, LesionTruth, MimicTruth, Pattern

if TYPE_CHECKING:
    from marrowmap.data.simulate.anatomy import Anatomy
    from marrowmap.data.simulate.variants import Collapse

PATTERN_SHARE: dict[Pattern, float] = {
    "normal": 0.20,
    "focal": 0.40,
    "mixed": 0.15,
    "diffuse": 0.15,
    "micronodular": 0.10,
}
#: Cells in the place of fat and water of normal marrow, by grade: mean and half range.
_INFILTRATION: dict[DiffuseGrade, tuple[float, float]] = {
    "mild": (0.45, 0.10),
    "moderate": (0.70, 0.08),
    "severe": (0.93, 0.05),
}


@dataclass(frozen=True, kw_only=True)
class DiseasedBody:
    """A body with its marrow and its disease, ready for any sequence.

    Attributes:
        material: uint16 `(i, j, k)`, rows of `table`.
        table: Properties of every material.
        lesion_labels: uint16 `(i, j, k)` of lesion ids.
        lesions: One per id.
        mimics: Benign look-alikes.
        pattern: Infiltration pattern.
        diffuse_grade: Of the background marrow.
        marrow_fat_fraction: Mean of lumbar spine, sacrum and pelvis, before lesions; NaN without them.
        has_hyperplasia: True when red marrow is increased.
    """

    material: npt.NDArray[np.uint16]
    table: MaterialTable
    lesion_labels: npt.NDArray[np.uint16]
    lesions: tuple[LesionTruth, ...]
    mimics: tuple[MimicTruth, ...]
    pattern: Pattern
    diffuse_grade: DiffuseGrade
    marrow_fat_fraction: float
    has_hyperplasia: bool = False


def draw_pattern(rng: np.random.Generator) -> Pattern:
    """Return a pattern drawn by `PATTERN_SHARE`."""
    patterns = list(PATTERN_SHARE)
    return patterns[int(rng.choice(len(patterns), p=list(PATTERN_SHARE.values())))]


def diseased_body(
    anatomy: Anatomy,
    rng: np.random.Generator,
    *,
    pattern: Pattern | Literal["random"] = "random",
    settings: DiseaseSettings | None = None,
) -> DiseasedBody:
    """Give a body its marrow and a disease.

    Args:
        anatomy: Tissue and bone maps.
        rng: Source of randomness.
        pattern: Which infiltration pattern; `random` draws one.
        settings: How disease is drawn; the default ones if None.

    Returns:
        Materials, labels and truth on the anatomy's grid.

    Raises:
        SettingsError: If the pattern is unknown.
    """
    settings = settings or DiseaseSettings()
    drawn = draw_pattern(rng)
    chosen: Pattern = drawn if pattern == "random" else pattern
    if chosen not in PATTERN_SHARE:
        raise SettingsError(f"unknown pattern {chosen!r}; use one of {', '.join(PATTERN_SHARE)} or random")
    tissues = draw_tissues(rng)
    well = healthy_marrow(anatomy, rng, hyperplasia=settings.hyperplasia)
    marrow, grade = _with_diffuse_disease(well, chosen, anatomy, rng, wanted=settings.diffuse_grade)
    canvas = _blank_canvas(anatomy, marrow, rng)
    lesions = _paint_lesions(canvas, marrow, chosen, settings, rng)
    mimics = _paint_benign(canvas, marrow, settings, rng)
    return DiseasedBody(
        material=canvas.material,
        table=joined(tissues, marrow_table(rng), table_of(canvas.materials)),
        lesion_labels=canvas.lesion_labels,
        lesions=lesions,
        mimics=mimics,
        pattern=chosen,
        diffuse_grade=grade,
        marrow_fat_fraction=_mean_axial_fat(marrow),
        has_hyperplasia=well.has_hyperplasia,
    )


def _paint_lesions(
    canvas: PaintedBody,
    marrow: MarrowState,
    pattern: Pattern,
    settings: DiseaseSettings,
    rng: np.random.Generator,
) -> tuple[LesionTruth, ...]:
    """Paint all that the pattern asks for: collapses that are malignant first, then lesions, then masses."""
    if pattern == "micronodular":
        return paint_micronodules(canvas, marrow, settings, rng)
    if pattern not in ("focal", "mixed"):
        return ()
    lesions: list[LesionTruth] = []
    for collapse in _collapses(canvas.anatomy):
        if collapse.cause == "malignant":
            lesion = paint_malignant_collapse(canvas, collapse.bone, rng, lesion_id=len(lesions) + 1)
            lesions += [lesion] if lesion else []
    lesions += paint_focal_lesions(canvas, marrow, settings, rng, first_id=len(lesions) + 1)
    lesions += paint_extramedullary(canvas, settings, rng, first_id=len(lesions) + 1)
    return tuple(lesions)


def _paint_benign(
    canvas: PaintedBody, marrow: MarrowState, settings: DiseaseSettings, rng: np.random.Generator
) -> tuple[MimicTruth, ...]:
    """Paint the oedema of fresh osteoporotic collapses, then the findings that are drawn or asked for."""
    fresh = [c.bone for c in _collapses(canvas.anatomy) if c.cause == "osteoporotic_acute"]
    oedema = [paint_mimic(canvas, marrow, "fracture_oedema", rng, bones=(bone,)) for bone in fresh]
    drawn = paint_mimics(canvas, marrow, rng, mean_count=settings.mimics_mean, kinds=settings.mimics)
    return (*(mimic for mimic in oedema if mimic), *drawn)


def _collapses(anatomy: Anatomy) -> tuple[Collapse, ...]:
    return anatomy.variants.collapses


def _mean_axial_fat(marrow: MarrowState) -> float:
    axial = (marrow.bone >= Bone.L1) & (marrow.bone <= Bone.PELVIS_LEFT)
    return float(marrow.fat_fraction[axial].mean()) if axial.any() else float("nan")


def _blank_canvas(anatomy: Anatomy, marrow: MarrowState, rng: np.random.Generator) -> PaintedBody:
    levels = levels_of(noise_tile(rng, smoothing_voxels=1.2), TEXTURE_LEVELS)
    material = anatomy.tissue.astype(np.uint16, order="C")
    add_tiled(material, levels.astype(np.uint16) * TEXTURE_STRIDE)
    material.reshape(-1)[marrow.flat] = marrow_index(marrow.fat_fraction, marrow.adc_um2_per_s)
    return PaintedBody(
        anatomy=anatomy,
        material=material,
        lesion_labels=np.zeros(material.shape, dtype=np.uint16),
        levels=levels,
        spacing_mm=float(np.linalg.norm(anatomy.affine_ras_mm[:3, 0])),
    )


def _with_diffuse_disease(
    marrow: MarrowState,
    pattern: Pattern,
    anatomy: Anatomy,
    rng: np.random.Generator,
    *,
    wanted: DiffuseGrade | None = None,
) -> tuple[MarrowState, DiffuseGrade]:
    if pattern not in ("diffuse", "mixed") or wanted == "none":
        return marrow, "none"
    grades: tuple[DiffuseGrade, ...] = ("mild", "moderate", "severe")
    shares = (0.25, 0.4, 0.35) if pattern == "diffuse" else (0.55, 0.4, 0.05)
    drawn = grades[int(rng.choice(3, p=shares))]
    grade = wanted or drawn
    mean, half_range = _INFILTRATION[grade]
    # Cells follow red marrow: fatty ends and shafts are spared longest.
    reach = np.interp(marrow.fat_fraction, (0.5, 0.95), (1.0, 0.6)).astype(np.float32)
    fine = tile_at(noise_tile(rng, smoothing_voxels=2.0), marrow.voxels)
    broad = broad_noise(rng, marrow.voxels, anatomy.tissue.shape, wavelength_voxels=20.0)
    share = (mean + rng.uniform(-half_range, half_range)) * reach + 0.04 * fine + 0.03 * broad
    adc = float(rng.normal(800, 90))
    return infiltrated(marrow, np.clip(share, 0, 1).astype(np.float32), adc_um2_per_s=adc), grade
