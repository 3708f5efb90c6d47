"""What a reader should look at first. Descriptions of what is there, never a forecast or an advice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from marrowmap.data.grid import Grid
from marrowmap.data.skeleton import REGION_LABELS, Region
from marrowmap.inference.findings import Alert, Coverage, Lesion, Pattern

SPINE = (Region.CERVICAL_SPINE, Region.THORACIC_SPINE, Region.LUMBAR_SPINE)
_LABEL_OF: Mapping[str, str] = {region.key: label for region, label in REGION_LABELS.items()}


@dataclass(frozen=True, kw_only=True)
class AlertSettings:
    """When a lesion of the femur is large and proximal.

    Attributes:
        large_diameter_mm: From here on a lesion of the proximal femur is named.
        proximal_femur_mm: Head, neck and trochanters: this far below the top of the femur.
    """

    large_diameter_mm: float = 25.0
    proximal_femur_mm: float = 130.0


def find_alerts(
    lesions: Sequence[Lesion],
    pattern: Pattern,
    coverage: Mapping[str, Coverage],
    femur_top_mm: float | None,
    settings: AlertSettings | None = None,
) -> tuple[Alert, ...]:
    """Return what to look at first, most urgent first.

    Args:
        lesions: All lesions; rejected ones raise nothing.
        pattern: With the diffuse grade, None when it is not known.
        coverage: What was imaged, by region key.
        femur_top_mm: z of the top of the femora, None without femora.
        settings: What is large and proximal.
    """
    settings = settings or AlertSettings()
    visible = [lesion for lesion in lesions if lesion.certainty != "rejected"]
    alerts = [
        *_beside_the_spine(visible),
        *_proximal_femur(visible, femur_top_mm, settings),
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


def _beside_the_spine(lesions: Sequence[Lesion]) -> list[Alert]:
    keys = [region.key for region in SPINE]
    return [
        Alert(
            code="possible_cord_compression",
            region=lesion.region,
            text=f"Lesion {lesion.id} ({lesion.longest_diameter_mm:.0f} mm) extends beyond the bone of the "
            f"{_LABEL_OF[lesion.region or '']}: look at the canal and the roots there.",
        )
        for lesion in lesions
        if lesion.kind == "paramedullary" and lesion.region in keys
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
