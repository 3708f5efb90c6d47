"""The shape of the vertebral bodies: lost height, asymmetry, rear wall, pedicles, canal; signs counted.

What is said is what a body looks like, never what it will do: fractures befall vertebrae of normal
signal too, so no level is foretold. In myeloma two thirds of the fractures look benign.

Sources: Moulopoulos, J Magn Reson Imaging 1996 (PubMed 8835961) for the rear wall (sensitivity 70 %,
specificity 94 %), pedicles (80, 94) and epidural mass (80, 100); Lecouvet, Radiology 1997 (PubMed 9205246)
for fractures in myeloma. Asymmetry and a level above T5 are taught, without figures. Whether fluid or gas
lies in a fracture is not looked at. The limits are ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

import numpy as np
import numpy.typing as npt

from marrowmap.data.exam import LesionMask
from marrowmap.inference.levels import PITCHES, Level, SpineLevels
from marrowmap.inference.spine import MEASURED, SpineColumn
from marrowmap.inference.vertebral_bodies import Body, CollapseSettings, SpacingMm, measure_body

Appearance = Literal["benign_looking", "malignant_looking", "indeterminate"]
NAMES = tuple(name for pitches in PITCHES.values() for name in pitches)
NOT_ASSESSED = ("fluid or vacuum cleft", "retropulsed posterosuperior corner", "cortex")
MYELOMA_PITFALL = "in myeloma two thirds of the fractures look benign (Lecouvet, Radiology 1997)"


@dataclass(frozen=True, kw_only=True)
class Collapse:
    """One vertebral body that has lost height, as in `report.json` `spine.collapses[]`.

    Attributes:
        level: `T1` to `L5`.
        height_loss: Lost share of the height of the neighbours, of the whole body or of its front.
        asymmetry: Difference of left and right height over the greater.
        appearance: What the signs say together.
        malignant_signs: Signs seen, one word group each.
        benign_signs: The same.
        not_assessed: Signs that this program does not look at.
    """

    level: str
    height_loss: float
    asymmetry: float
    appearance: Appearance
    malignant_signs: tuple[str, ...]
    benign_signs: tuple[str, ...]
    not_assessed: tuple[str, ...] = NOT_ASSESSED


@dataclass(frozen=True, kw_only=True)
class SpineFindings:
    """What the shape of the spine shows, as in `report.json` `spine`.

    Attributes:
        levels: Vertebrae that were named, from above downward.
        judged: Those of them whose height was judged: both of their discs were seen.
        warnings: What is unusual about their numbering.
        collapses: Bodies that have lost height.
        canal_contacts: Levels where lesion lies in the canal.
        pedicle_lesions: Levels where lesion lies in pedicle or arch.
    """

    levels: tuple[str, ...] = ()
    judged: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    collapses: tuple[Collapse, ...] = ()
    canal_contacts: tuple[str, ...] = ()
    pedicle_lesions: tuple[str, ...] = ()


def describe_spine(
    regions: npt.NDArray[np.uint8],
    lesion_mask: LesionMask,
    column: SpineColumn,
    levels: SpineLevels,
    spacing_mm: SpacingMm,
    settings: CollapseSettings | None = None,
) -> SpineFindings:
    """Measure every named body of the thoracic and lumbar spine and count the signs of those collapsed.

    Args:
        regions: uint8 `(i, j, k)` of `Region` values.
        lesion_mask: bool `(i, j, k)`, lesions that no reader rejected.
        column: Axis of the bodies.
        levels: Their names.
        spacing_mm: Voxel size along `(i, j, k)`.
        settings: From where on a shape is a sign.
    """
    settings = settings or CollapseSettings()
    measured = [level for level in levels.levels if level.region in {region.key for region in MEASURED}]
    bodies = [measure_body(level, regions, lesion_mask, column, spacing_mm, settings) for level in measured]
    known = [body for body in bodies if body is not None]
    judged = [body for body in known if body.level.is_certain]
    collapses = []
    for body in judged:
        mean, front = height_losses(body, judged)
        if mean >= settings.height_loss or front >= settings.front_loss:
            collapses.append(_collapse(body, max(mean, front), settings))
    return SpineFindings(
        levels=tuple(level.name for level in levels.levels),
        judged=tuple(body.level.name for body in judged),
        warnings=levels.warnings,
        collapses=tuple(collapses),
        canal_contacts=tuple(b.level.name for b in known if b.canal_ml >= settings.zone_ml),
        pedicle_lesions=tuple(b.level.name for b in known if b.pedicle_ml >= settings.zone_ml),
    )


def _collapse(body: Body, loss: float, settings: CollapseSettings) -> Collapse:
    """Count the signs of one collapsed body."""
    asymmetry = asymmetry_of(body)
    malignant = {
        "rear wall bulging": body.convexity_mm >= settings.convexity_mm,
        "pedicle or arch involved": body.pedicle_ml >= settings.zone_ml,
        "mass in the canal": body.canal_ml >= settings.zone_ml,
        "body replaced by lesion": body.lesion_share >= settings.replaced_share,
        "asymmetric": asymmetry >= settings.asymmetry,
        "above T5": NAMES.index(body.level.name) < NAMES.index("T5"),
    }
    benign = {
        "marrow left in the body": body.lesion_share <= settings.kept_share,
        "rear wall not bulging": body.convexity_mm < settings.convexity_mm,
    }
    signs = tuple(name for name, is_seen in malignant.items() if is_seen)
    against = tuple(name for name, is_seen in benign.items() if is_seen)
    return Collapse(
        level=body.level.name,
        height_loss=round(loss, 3),
        asymmetry=round(asymmetry, 3),
        appearance=appearance_of(len(signs), len(against)),
        malignant_signs=signs,
        benign_signs=against,
    )


def appearance_of(malignant_signs: int, benign_signs: int) -> Appearance:
    """Return what the signs say together; one malignant sign among benign ones decides nothing."""
    if malignant_signs >= 2 and malignant_signs > benign_signs:
        return "malignant_looking"
    return "benign_looking" if benign_signs and not malignant_signs else "indeterminate"


def asymmetry_of(body: Body) -> float:
    """Return the difference of left and right height over the greater one."""
    left, right = body.heights_mm[3:]
    return abs(left - right) / max(left, right, 1e-6)


def height_losses(body: Body, bodies: Sequence[Body]) -> tuple[float, float]:
    """Return by what share a body, and its front alone, is lower than the nearest bodies; 0 without two."""
    near = sorted((other for other in bodies if other is not body), key=lambda other: _distance(body, other))
    near = near[:4]
    if len(near) < 2:
        return 0.0, 0.0
    usual = [(float(np.mean(one.heights_mm)), one.heights_mm[1]) for one in near]
    scale = [_pitch(body.level) / _pitch(one.level) for one in near]
    mean, front = (
        median(pair[which] * factor for pair, factor in zip(usual, scale, strict=True)) for which in (0, 1)
    )
    return (
        1.0 - float(np.mean(body.heights_mm)) / max(mean, 1e-6),
        1.0 - body.heights_mm[1] / max(front, 1e-6),
    )


def _distance(one: Body, other: Body) -> int:
    return abs(NAMES.index(one.level.name) - NAMES.index(other.level.name))


def _pitch(level: Level) -> float:
    return next(pitches[level.name] for pitches in PITCHES.values() if level.name in pitches)
