"""Focal lesions and micronodules: where, how many, how large, of what kind, and painted into marrow.

Sizes are log-normal (median 11 mm, sigma 0.5, floor 4 mm), sites follow the published frequencies (spine,
pelvis, ribs and sternum first; skull and legs rare), kinds follow the ADC bands of viable and treated tissue.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from marrowmap.data.simulate.disease_settings import DiseaseSettings
from marrowmap.data.simulate.labels import Bone, Tissue, regions_of_bones
from marrowmap.data.simulate.marrow import MarrowState
from marrowmap.data.simulate.painting import (
    Box,
    Mask,
    PaintedBody,
    beyond_marrow_mask,
    bone_at,
    connected_to,
    irregular_blob,
    marrow_mask,
    placed,
)
from marrowmap.data.simulate.places import beside, toward_canal
from marrowmap.data.simulate.tissue import Material
from marrowmap.data.simulate.truth import LesionKind, LesionTruth
from marrowmap.data.skeleton import Region

_SITE_SHARE = {
    Region.SKULL: 0.05,
    Region.CERVICAL_SPINE: 0.06,
    Region.THORACIC_SPINE: 0.22,
    Region.LUMBAR_SPINE: 0.16,
    Region.SACRUM_PELVIS: 0.26,
    Region.THORAX: 0.16,
    Region.HUMERI: 0.03,
    Region.FEMORA: 0.06,
}
_MICRONODULE_MATERIALS = 12
_VERTEBRAE = frozenset(bone for bone in Bone if Bone.C3 <= bone <= Bone.L5)


def paint_focal_lesions(
    canvas: PaintedBody,
    marrow: MarrowState,
    settings: DiseaseSettings,
    rng: np.random.Generator,
    *,
    first_id: int = 1,
) -> tuple[LesionTruth, ...]:
    """Paint a drawn number of focal lesions.

    Args:
        canvas: Painted on.
        marrow: Where marrow is and how red.
        settings: Numbers and sizes.
        rng: Source of randomness.
        first_id: Of the labels; ids count from it.

    Returns:
        What was painted. Fewer than drawn only where marrow is full.
    """
    sites = _sites(marrow, rng)
    count = _log_uniform(settings.focal_count, rng)
    under_treatment = rng.random() < settings.treated_patients
    lesions: list[LesionTruth] = []
    for _ in range(3 * count):
        if len(lesions) == count or not marrow.flat.size:
            break
        centre = marrow.voxels[:, np.searchsorted(sites, rng.random())]
        if lesions and rng.random() < settings.touching_share:
            centre = beside(canvas, lesions[-1], rng, otherwise=centre)
        diameter = float(np.exp(rng.normal(np.log(settings.median_diameter_mm), settings.log_sigma)))
        diameter = min(max(diameter, settings.smallest_diameter_mm), settings.largest_diameter_mm)
        kind = settings.lesion_kind or draw_kind(diameter, rng, under_treatment=under_treatment)
        spread = _draw_spread(bone_at(canvas, centre), diameter, settings, rng)
        lesion = paint_focal(canvas, centre, diameter, kind, first_id + len(lesions), spread, rng)
        lesions += [lesion] if lesion else []
    return tuple(lesions)


def paint_micronodules(
    canvas: PaintedBody, marrow: MarrowState, settings: DiseaseSettings, rng: np.random.Generator
) -> tuple[LesionTruth, ...]:
    """Paint many lesions below 5 mm over the marrow; arguments and result as for focal lesions."""
    if not marrow.flat.size:
        return ()
    sites = _sites(marrow, rng)
    materials = [lesion_material("active", rng) for _ in range(_MICRONODULE_MATERIALS)]
    rows = [canvas.add(material) for material in materials]
    lesions: list[LesionTruth] = []
    for place in np.searchsorted(sites, rng.random(_log_uniform(settings.micronodule_count, rng))):
        centre = marrow.voxels[:, place]
        bone = bone_at(canvas, centre)
        box, distance = irregular_blob(centre, float(rng.uniform(3.0, 4.9)), canvas, rng, irregularity=0.05)
        mask = connected_to(marrow_mask(canvas, box, distance < 1, bone), _in_box(centre, box))
        if not mask.any():
            continue
        which = int(rng.integers(_MICRONODULE_MATERIALS))
        lesion_id = len(lesions) + 1
        canvas.paint(box, mask, rows[which])
        canvas.lesion_labels[box][mask] = lesion_id
        lesions.append(lesion_truth(canvas, box, mask, bone, lesion_id, "micronodule", materials[which]))
    return tuple(lesions)


def _sites(marrow: MarrowState, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Return the cumulated probability of each marrow voxel to be the middle of a lesion."""
    region = regions_of_bones(marrow.bone)
    redness = (1.05 - marrow.fat_fraction) * (region > 0)
    total = np.bincount(region, weights=redness, minlength=len(Region) + 1)
    share = np.zeros(len(Region) + 1)
    for place, mean in _SITE_SHARE.items():
        share[place] = mean * np.exp(rng.normal(0, 0.4)) / total[place] if total[place] else 0.0
    cumulated = np.cumsum(redness * share[region])
    return cumulated / cumulated[-1] if cumulated.size and cumulated[-1] > 0 else np.ones(1)


def draw_kind(diameter_mm: float, rng: np.random.Generator, *, under_treatment: bool) -> LesionKind:
    """Return what a lesion is: most are treated in people under treatment, large ones may be necrotic."""
    if rng.random() < (0.7 if under_treatment else 0.02):
        return "treated"
    if diameter_mm > 18 and rng.random() < 0.15:
        return "necrotic_core"
    return "t1_bright" if rng.random() < 0.03 else "active"


def lesion_material(kind: LesionKind, rng: np.random.Generator) -> Material:
    """Return the properties of a lesion: ADC 600 to 1100 um2/s when viable, above 1400 when treated."""
    adc = float(np.clip(rng.normal(850, 120), 600, 1100))
    fat, t1, t2 = rng.uniform(0.03, 0.10), 970 * np.exp(rng.normal(0, 0.05)), rng.normal(51, 3)
    if kind == "treated":
        adc, fat, t2 = float(rng.uniform(1420, 2000)), rng.uniform(0.05, 0.35), rng.normal(56, 5)
    elif kind == "t1_bright":
        fat, t1 = rng.uniform(0.3, 0.5), 800.0
    density = float(np.clip(rng.normal(1.0, 0.03), 0.9, 1.1))
    return Material(
        proton_density=density, t1_ms=float(t1), t2_ms=float(t2), fat_fraction=float(fat), adc_um2_per_s=adc
    )


@dataclass(frozen=True, kw_only=True)
class _Spread:
    """How far a lesion grows beyond the marrow of its bone."""

    breaches: bool = False
    into_soft_tissue: bool = False
    into_canal: bool = False


def _draw_spread(
    bone: Bone, diameter_mm: float, settings: DiseaseSettings, rng: np.random.Generator
) -> _Spread:
    first, second, third = rng.random(3).tolist()
    into_canal = bone in _VERTEBRAE and diameter_mm >= 12 and third < settings.epidural_share
    breaches = diameter_mm >= 10 and first < settings.breach_share
    grows_out = breaches and diameter_mm >= 14 and second < settings.paramedullary_share
    return _Spread(breaches=breaches or into_canal, into_soft_tissue=grows_out, into_canal=into_canal)


def paint_focal(
    canvas: PaintedBody,
    centre: npt.NDArray[np.int32],
    diameter_mm: float,
    kind: LesionKind,
    lesion_id: int,
    spread: _Spread,
    rng: np.random.Generator,
) -> LesionTruth | None:
    """Paint one focal lesion around a marrow voxel; None where less than three voxels are free."""
    bone = bone_at(canvas, centre)
    if spread.into_canal:
        centre = toward_canal(canvas, centre, bone)
    box, distance = irregular_blob(centre, diameter_mm, canvas, rng)
    mask = marrow_mask(canvas, box, distance < 1, bone)
    if spread.breaches:
        soft = spread.into_soft_tissue or spread.into_canal
        mask |= beyond_marrow_mask(canvas, box, distance < 1, bone, soft_tissue=soft)
    mask = connected_to(mask, _in_box(centre, box))
    if mask.sum() < 3:
        return None
    material = lesion_material(kind, rng)
    canvas.paint(box, mask, canvas.add(material))
    if kind == "necrotic_core":
        canvas.paint(box, mask & (distance < 0.55), canvas.add(_necrosis(rng)))
    canvas.lesion_labels[box][mask] = lesion_id
    is_epidural = bool((canvas.anatomy.tissue[box][mask] == Tissue.CSF).any())
    return replace(
        lesion_truth(canvas, box, mask, bone, lesion_id, kind, material),
        breaches_cortex=spread.breaches,
        is_paramedullary=spread.into_soft_tissue or spread.into_canal,
        is_epidural=is_epidural,
    )


def lesion_truth(
    canvas: PaintedBody,
    box: Box,
    mask: Mask,
    bone: Bone,
    lesion_id: int,
    kind: LesionKind,
    material: Material,
) -> LesionTruth:
    """Return what is true of the voxels of `mask` in `box`."""
    volume_ml, diameter_mm, centroid = placed(canvas, box, mask)
    region = int(regions_of_bones(np.array([bone], dtype=np.uint8))[0]) or Region.HUMERI  # beside a forearm
    return LesionTruth(
        id=lesion_id,
        kind=kind,
        region=Region(region),
        bone=bone,
        volume_ml=volume_ml,
        longest_diameter_mm=diameter_mm,
        centroid_ras_mm=centroid,
        adc_um2_per_s=material.adc_um2_per_s,
        fat_fraction=material.fat_fraction,
    )


def _necrosis(rng: np.random.Generator) -> Material:
    adc = float(rng.uniform(1500, 2300))
    return Material(proton_density=1.0, t1_ms=1400.0, t2_ms=85.0, fat_fraction=0.02, adc_um2_per_s=adc)


def _in_box(voxel: npt.NDArray[np.integer], box: Box) -> tuple[int, ...]:
    return tuple(int(index) - side.start for index, side in zip(voxel, box, strict=True))


def _log_uniform(limits: tuple[int, int], rng: np.random.Generator) -> int:
    fewest, most = limits
    return int(np.clip(round(np.exp(rng.uniform(np.log(fewest - 0.4), np.log(most + 0.5)))), fewest, most))
