"""What a reader should look at first. Descriptions of what is there, never a forecast or an advice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from marrowmap.data.grid import Grid
from marrowmap.data.skeleton import REGION_LABELS, Region
from marrowmap.inference.clinical import ClinicalInput
from marrowmap.inference.collapse import SpineFindings
from marrowmap.inference.findings import Alert, Coverage, Lesion, Pattern

#: Alerts of something at the spinal canal.
CORD_CODES = frozenset({"possible_cord_compression"})
SPINE = (Region.CERVICAL_SPINE, Region.THORACIC_SPINE, Region.LUMBAR_SPINE)
_LABEL_OF: Mapping[str, str] = {region.key: label for region, label in REGION_LABELS.items()}


@dataclass(frozen=True, kw_only=True)
class AlertSettings:
    """When a lesion of the femur is large and proximal.

    Attributes:
        large_diameter_mm: From here on a lesion of the proximal femur is named.
        proximal_femur_mm: Head, neck and trochanters: this far below the top of the femur.
        cross_section_share: From here on a lesion that fills so much of a femur's cross-section is named.
    """

    large_diameter_mm: float = 25.0
    proximal_femur_mm: float = 130.0
    cross_section_share: float = 0.5


def find_alerts(
    lesions: Sequence[Lesion],
    pattern: Pattern,
    coverage: Mapping[str, Coverage],
    femur_top_mm: float | None,
    settings: AlertSettings | None = None,
    *,
    spine: SpineFindings | None = None,
) -> tuple[Alert, ...]:
    """Return what to look at first, most urgent first.

    Args:
        lesions: All lesions; rejected ones raise nothing.
        pattern: With the diffuse grade, None when it is not known.
        coverage: What was imaged, by region key.
        femur_top_mm: z of the top of the femora, None without femora.
        settings: What is large and proximal.
        spine: Collapses and what lies at the canal; None where the vertebrae were not looked at.
    """
    settings = settings or AlertSettings()
    visible = [lesion for lesion in lesions if lesion.certainty != "rejected"]
    alerts = [
        *_at_the_canal(spine),
        *_beside_the_spine(visible, spine),
        *_collapses(spine),
        *_proximal_femur(visible, femur_top_mm, settings),
        *_weight_bearing(visible, settings),
        *_away_from_bone(visible),
        *_coverage_gaps(coverage),
    ]
    if pattern.diffuse_grade is None:
        text = "The diffuse grade is not known: " + "; ".join(pattern.evidence.get("missing", ())) + "."
        alerts.append(Alert(code="diffuse_grade_unknown", region=None, text=text))
    return tuple(alerts)


def femur_top_mm(regions: npt.NDArray[np.uint8], grid: Grid) -> float | None:
    """Return z of the highest plane that holds femur, None without femora."""
    planes = np.flatnonzero((regions == Region.FEMORA).any(axis=(0, 1)))
    if not planes.size:
        return None
    return float(grid.points_mm(np.array([0.0, 0.0, float(planes[-1])]))[2])


def with_symptoms(
    alerts: tuple[Alert, ...], coverage: Mapping[str, Coverage], clinical: ClinicalInput
) -> tuple[Alert, ...]:
    """Return the alerts with stated neurological signs first; images cannot tell them.

    Args:
        alerts: From the images.
        coverage: What was imaged: with such signs the whole spine must be looked at.
        clinical: With the signs; unknown says nothing.
    """
    if clinical.neurological_signs is not True:
        return alerts
    gaps = [_LABEL_OF[region.key] for region in SPINE if coverage.get(region.key) != "complete"]
    where = f"; not imaged as a whole: {', '.join(gaps)}" if gaps else ""
    seen = any(alert.code in CORD_CODES for alert in alerts)
    found = "a lesion at the canal is named below" if seen else "no lesion at the canal was found"
    text = f"Neurological signs are stated: look at the whole spine first; {found}{where}."
    return (Alert(code="neurological_signs", region=None, text=text), *alerts)


def _at_the_canal(spine: SpineFindings | None) -> list[Alert]:
    levels = spine.canal_contacts if spine else ()
    if not levels:
        return []
    text = f"Lesion in the spinal canal at {', '.join(levels)}: look at cord and roots there."
    return [Alert(code="possible_cord_compression", region=_region_of_level(levels[0]), text=text)]


def _collapses(spine: SpineFindings | None) -> list[Alert]:
    words = {
        "malignant_looking": ("malignant_looking_collapse", "looks malignant"),
        "benign_looking": ("collapse", "looks benign, which does not exclude malignancy"),
        "indeterminate": ("collapse", "can be benign or malignant by its look"),
    }
    alerts = []
    for collapse in spine.collapses if spine else ():
        code, look = words[collapse.appearance]
        signs = "; ".join(collapse.malignant_signs) or "none"
        text = (
            f"{collapse.level} has lost about {100 * collapse.height_loss:.0f} % of its height and {look} "
            f"(malignant signs: {signs})."
        )
        alerts.append(Alert(code=code, region=_region_of_level(collapse.level), text=text))
    return alerts


def _region_of_level(level: str) -> str:
    return {"C": Region.CERVICAL_SPINE, "T": Region.THORACIC_SPINE, "L": Region.LUMBAR_SPINE}[level[0]].key


def _weight_bearing(lesions: Sequence[Lesion], settings: AlertSettings) -> list[Alert]:
    return [
        Alert(
            code="weight_bearing_lesion",
            region=lesion.region,
            text=f"Lesion {lesion.id} fills up to {100 * share:.0f} % of the cross-section of the femur, "
            "a weight-bearing bone.",
        )
        for lesion in lesions
        if lesion.region == Region.FEMORA.key
        and (share := lesion.cross_section_share or 0.0) >= settings.cross_section_share
    ]


def _beside_the_spine(lesions: Sequence[Lesion], spine: SpineFindings | None) -> list[Alert]:
    keys = [region.key for region in SPINE]
    told = spine.canal_contacts if spine else ()
    return [
        Alert(
            code="possible_cord_compression",
            region=lesion.region,
            text=f"Lesion {lesion.id} ({lesion.longest_diameter_mm:.0f} mm) extends beyond the bone of the "
            f"{_LABEL_OF[lesion.region or '']}: look at the canal and the roots there.",
        )
        for lesion in lesions
        if lesion.kind == "paramedullary" and lesion.region in keys and lesion.level not in told
    ]


def _proximal_femur(lesions: Sequence[Lesion], top_mm: float | None, settings: AlertSettings) -> list[Alert]:
    if top_mm is None:
        return []
    return [
        Alert(
            code="large_proximal_femur_lesion",
            region=lesion.region,
            text=f"Lesion {lesion.id} measures {lesion.longest_diameter_mm:.0f} mm in the proximal femur, "
            "a weight-bearing site.",
        )
        for lesion in lesions
        if lesion.region == Region.FEMORA.key
        and lesion.longest_diameter_mm >= settings.large_diameter_mm
        and lesion.centroid_ras_mm[2] >= top_mm - settings.proximal_femur_mm
    ]


def _away_from_bone(lesions: Sequence[Lesion]) -> list[Alert]:
    away = [lesion.id for lesion in lesions if lesion.kind == "extramedullary"]
    if not away:
        return []
    what = f"Lesion {away[0]} lies" if len(away) == 1 else f"{len(away)} lesions lie"
    text = f"{what} away from bone: extramedullary disease, or an organ that shines on diffusion."
    return [Alert(code="away_from_bone", region=None, text=text)]


def _coverage_gaps(coverage: Mapping[str, Coverage]) -> list[Alert]:
    words = {"absent": "was not imaged or not found", "partial": "was imaged in part"}
    return [
        Alert(
            code="coverage_gap",
            region=key,
            text=f"The region {_LABEL_OF[key]} {words[found]}: what is there is unknown, not normal.",
        )
        for key, found in coverage.items()
        if found != "complete"
    ]
