"""Focal lesions and micronodules: where, how many, how large, of what kind, and painted into marrow.

Sizes are log-normal (median 11 mm, sigma 0.5, floor 4 mm), sites follow the published frequencies (spine,
pelvis, ribs and sternum first; skull and legs rare), kinds follow the ADC bands of viable and treated tissue.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from marrowmap.data.errors import SettingsError
from marrowmap.data.simulate.labels import Bone, regions_of_bones
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


@dataclass(frozen=True, kw_only=True)
class DiseaseSettings:
    """How disease is drawn.

    Attributes:
        median_diameter_mm: Of focal lesions; fit of the published sizes.
        log_sigma: Spread of the logarithm of the diameter.
        smallest_diameter_mm: Floor of focal lesions.
        largest_diameter_mm: Ceiling, in mm.
        focal_count: Fewest and most focal lesions, drawn log-uniformly.
        micronodule_count: Fewest and most micronodules, drawn log-uniformly.
        treated_patients: Share of people with focal lesions who are under treatment.
        mimics_mean: Mean number of benign look-alikes in an exam.
    """

    median_diameter_mm: float = 11.0
    log_sigma: float = 0.5
    smallest_diameter_mm: float = 4.0
    largest_diameter_mm: float = 70.0
    focal_count: tuple[int, int] = (1, 40)
    micronodule_count: tuple[int, int] = (40, 250)
    treated_patients: float = 0.15
    mimics_mean: float = 2.5

    def __post_init__(self) -> None:
        """Refuse impossible settings.

        Raises:
            SettingsError: If sizes or counts are not in order.
        """
        if not 0 < self.smallest_diameter_mm <= self.median_diameter_mm <= self.largest_diameter_mm:
            raise SettingsError(
                "lesion diameters need 0 < smallest <= median <= largest; correct the settings"
            )
        for fewest, most in (self.focal_count, self.micronodule_count):
            if not 1 <= fewest <= most:
                raise SettingsError(f"lesion counts need 1 <= fewest <= most, found {fewest} and {most}")


def paint_focal_lesions(
    canvas: PaintedBody, marrow: MarrowState, settings: DiseaseSettings, rng: np.random.Generator
) -> tuple[LesionTruth, ...]:
    """Paint a drawn number of focal lesions.

    Args:
        canvas: Painted on.
        marrow: Where marrow is and how red.
        settings: Numbers and sizes.
        rng: Source of randomness.

    Returns:
        What was painted; ids count from 1. Fewer than drawn only where marrow is full.
    """
    sites = _sites(marrow, rng)
    count = _log_uniform(settings.focal_count, rng)
    under_treatment = rng.random() < settings.treated_patients
    lesions: list[LesionTruth] = []
    for _ in range(3 * count):
        if len(lesions) == count or not marrow.flat.size:
            break
        centre = marrow.voxels[:, np.searchsorted(sites, rng.random())]
        diameter = float(np.exp(rng.normal(np.log(settings.median_diameter_mm), settings.log_sigma)))
        diameter = min(max(diameter, settings.smallest_diameter_mm), settings.largest_diameter_mm)
        kind = _draw_kind(diameter, rng, under_treatment=under_treatment)
        lesion = _paint_focal(canvas, centre, diameter, kind, len(lesions) + 1, rng)
        lesions += [lesion] if lesion else []
    return tuple(lesions)


def paint_micronodules(
    canvas: PaintedBody, marrow: MarrowState, settings: DiseaseSettings, rng: np.random.Generator
) -> tuple[LesionTruth, ...]:
    """Paint many lesions below 5 mm over the marrow; arguments and result as for focal lesions."""
    if not marrow.flat.size:
        return ()
    sites = _sites(marrow, rng)
    materials = [_lesion_material("active", rng) for _ in range(_MICRONODULE_MATERIALS)]
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
        lesions.append(_lesion_truth(canvas, box, mask, bone, lesion_id, "micronodule", materials[which]))
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


def _draw_kind(diameter_mm: float, rng: np.random.Generator, *, under_treatment: bool) -> LesionKind:
    if rng.random() < (0.7 if under_treatment else 0.02):
        return "treated"
    if diameter_mm > 18 and rng.random() < 0.15:
        return "necrotic_core"
    return "t1_bright" if rng.random() < 0.03 else "active"


def _lesion_material(kind: LesionKind, rng: np.random.Generator) -> Material:
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


def _paint_focal(
    canvas: PaintedBody,
    centre: npt.NDArray[np.int32],
    diameter_mm: float,
    kind: LesionKind,
    lesion_id: int,
    rng: np.random.Generator,
) -> LesionTruth | None:
    bone = bone_at(canvas, centre)
    box, distance = irregular_blob(centre, diameter_mm, canvas, rng)
    breaches = diameter_mm >= 10 and rng.random() < 0.25
    grows_out = breaches and diameter_mm >= 14 and rng.random() < 0.35
    mask = marrow_mask(canvas, box, distance < 1, bone)
    if breaches:
        mask |= beyond_marrow_mask(canvas, box, distance < 1, bone, soft_tissue=grows_out)
    mask = connected_to(mask, _in_box(centre, box))
    if mask.sum() < 3:
        return None
    material = _lesion_material(kind, rng)
    canvas.paint(box, mask, canvas.add(material))
    if kind == "necrotic_core":
        canvas.paint(box, mask & (distance < 0.55), canvas.add(_necrosis(rng)))
    canvas.lesion_labels[box][mask] = lesion_id
    return _lesion_truth(canvas, box, mask, bone, lesion_id, kind, material, breaches, grows_out)


def _lesion_truth(
    canvas: PaintedBody,
    box: Box,
    mask: Mask,
    bone: Bone,
    lesion_id: int,
    kind: LesionKind,
    material: Material,
    breaches: bool = False,
    grows_out: bool = False,
) -> LesionTruth:
    volume_ml, diameter_mm, centroid = placed(canvas, box, mask)
    return LesionTruth(
        id=lesion_id,
        kind=kind,
        region=Region(int(regions_of_bones(np.array([bone], dtype=np.uint8))[0])),
        bone=bone,
        volume_ml=volume_ml,
        longest_diameter_mm=diameter_mm,
        centroid_ras_mm=centroid,
        adc_um2_per_s=material.adc_um2_per_s,
        fat_fraction=material.fat_fraction,
        breaches_cortex=breaches,
        is_paramedullary=grows_out,
    )


def _necrosis(rng: np.random.Generator) -> Material:
    adc = float(rng.uniform(1500, 2300))
    return Material(proton_density=1.0, t1_ms=1400.0, t2_ms=85.0, fat_fraction=0.02, adc_um2_per_s=adc)


def _in_box(voxel: npt.NDArray[np.integer], box: Box) -> tuple[int, ...]:
    return tuple(int(index) - side.start for index, side in zip(voxel, box, strict=True))


def _log_uniform(limits: tuple[int, int], rng: np.random.Generator) -> int:
    fewest, most = limits
    return int(np.clip(round(np.exp(rng.uniform(np.log(fewest - 0.4), np.log(most + 0.5)))), fewest, most))
