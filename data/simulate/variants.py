"""What is particular about one body: posture of the arms, spine variants, collapsed vertebrae, a prosthesis.

Everything can be asked for by name (`AnatomySettings`); what is not asked for is drawn. What a body got
(`Variants`) is part of its truth.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from marrowmap.data.errors import SettingsError
from marrowmap.data.simulate.labels import Bone
from marrowmap.data.simulate.person import Person

Arms = Literal["beside", "above"]
Transitional = Literal["none", "sacralised_l5", "lumbarised_s1"]
Prosthesis = Literal["none", "right", "left", "both"]
CollapseCause = Literal["osteoporotic_old", "osteoporotic_acute", "malignant"]
CollapseShape = Literal["wedge", "biconcave", "crush"]

#: Collapse is most frequent about the thoracolumbar junction and in the middle thoracic spine.
_COLLAPSE_WEIGHT = {Bone.T6: 1, Bone.T7: 2, Bone.T8: 2, Bone.T9: 1, Bone.T10: 1, Bone.T11: 2, Bone.T12: 4,
                    Bone.L1: 4, Bone.L2: 2, Bone.L3: 2, Bone.L4: 1, Bone.L5: 1}  # fmt: skip
_ARMS_ABOVE_SHARE = 0.04
_TRANSITIONAL_SHARE = 0.06
_PROSTHESIS_SHARE = 0.04
_MOST_DEFORMATION_MM = 12.0


@dataclass(frozen=True, kw_only=True)
class Collapse:
    """A vertebral body that has lost height.

    Attributes:
        bone: Which vertebra.
        cause: `malignant` takes a lesion when the body is given a disease with lesions.
        shape: Front lower, both endplates hollow, or the whole body.
        height_loss: Share of the body's height that is lost, 0.15 to 0.7.
    """

    bone: Bone
    cause: CollapseCause
    shape: CollapseShape
    height_loss: float


@dataclass(frozen=True, kw_only=True)
class AnatomySettings:
    """What a body must be like; what is None is drawn.

    Attributes:
        arms: Beside the trunk, or beside and above the head.
        transitional: Lumbosacral transition: L5 joined to the sacrum, or S1 set apart from it by a disc.
        collapses: Causes of the collapsed vertebrae, one each; an empty tuple for none.
        prosthesis: Sides of hip replacements.
        deformation_mm: Standard deviation of the smooth random displacement along each axis, 0 to 12 mm.
    """

    arms: Arms | None = None
    transitional: Transitional | None = None
    collapses: tuple[CollapseCause, ...] | None = None
    prosthesis: Prosthesis | None = None
    deformation_mm: float | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be built.

        Raises:
            SettingsError: If the deformation would fold the body or more vertebrae collapse than can.
        """
        if self.deformation_mm is not None and not 0 <= self.deformation_mm <= _MOST_DEFORMATION_MM:
            raise SettingsError(
                f"deformation needs 0 to {_MOST_DEFORMATION_MM:g} mm, found {self.deformation_mm:g}; "
                "correct it"
            )
        if self.collapses is not None and len(self.collapses) > len(_COLLAPSE_WEIGHT):
            raise SettingsError(
                f"at most {len(_COLLAPSE_WEIGHT)} vertebrae can collapse, found {len(self.collapses)}; "
                "ask for fewer"
            )


@dataclass(frozen=True, kw_only=True)
class Variants:
    """What one body is like.

    Attributes:
        arms: Posture of the arms.
        arm_angle_deg: Abduction of the arms from hanging.
        transitional: Lumbosacral transition.
        collapses: Collapsed vertebrae, from below.
        prosthesis: Sides of hip replacements.
        deformation_mm: Standard deviation of the smooth random displacement.
    """

    arms: Arms = "beside"
    arm_angle_deg: float = 0.0
    transitional: Transitional = "none"
    collapses: tuple[Collapse, ...] = ()
    prosthesis: Prosthesis = "none"
    deformation_mm: float = 5.0


def draw_variants(person: Person, settings: AnatomySettings, rng: np.random.Generator) -> Variants:
    """Draw what is particular about a body.

    Args:
        person: Age, sex and build set the chances.
        settings: What is fixed.
        rng: Source of randomness; it is used alike whatever is fixed.

    Returns:
        The variants. Malignant collapses are rare here: `disease.py` adds lesions, not shapes.
    """
    above = rng.random() < _ARMS_ABOVE_SHARE
    arms: Arms = settings.arms or ("above" if above else "beside")
    hanging, raised = float(rng.uniform(0, 9)), float(rng.uniform(160, 172))
    transitions: tuple[Transitional, ...] = ("sacralised_l5", "lumbarised_s1")
    which = _drawn(len(transitions), _TRANSITIONAL_SHARE, rng)
    transition: Transitional = "none" if which is None else transitions[which]
    worn = _PROSTHESIS_SHARE * (2.0 if person.age_years > 65 else 0.5)
    hips: tuple[Prosthesis, ...] = ("right", "left", "both")
    which = _drawn(len(hips), worn, rng)
    hip: Prosthesis = "none" if which is None else hips[which]
    causes = settings.collapses if settings.collapses is not None else _causes(person, rng)
    strength = float(np.clip(rng.lognormal(np.log(5.5), 0.3), 3.0, 9.0))
    return Variants(
        arms=arms,
        arm_angle_deg=raised if arms == "above" else hanging,
        transitional=settings.transitional or transition,
        collapses=_collapses(causes, rng),
        prosthesis=settings.prosthesis or hip,
        deformation_mm=strength if settings.deformation_mm is None else settings.deformation_mm,
    )


def proven(variants: Variants, malignant: Collection[Bone]) -> Variants:
    """Return variants whose collapses are called malignant only where a lesion fills the vertebra.

    Args:
        variants: Of a body; the shapes of its collapses stay.
        malignant: Vertebrae that a lesion fills; the other malignant shapes become old fractures.
    """
    collapses = tuple(
        replace(collapse, cause="osteoporotic_old")
        if collapse.cause == "malignant" and collapse.bone not in malignant
        else collapse
        for collapse in variants.collapses
    )
    return replace(variants, collapses=collapses)


def _drawn(number: int, share: float, rng: np.random.Generator) -> int | None:
    """Return one of a number of choices with a chance, else none."""
    happens, which = rng.random() < share, int(rng.integers(number))
    return which if happens else None


def _causes(person: Person, rng: np.random.Generator) -> tuple[CollapseCause, ...]:
    brittle = 0.04 + 0.006 * max(person.age_years - 50, 0) * (1.3 if person.sex == "F" else 0.8)
    number = int(min(rng.poisson(brittle), 4))
    causes: list[CollapseCause] = []
    for chance in rng.random(number):
        causes.append("osteoporotic_old" if chance < 0.65 else "osteoporotic_acute")
    if rng.random() < 0.05:
        causes.append("malignant")
    return tuple(causes)


def _collapses(causes: tuple[CollapseCause, ...], rng: np.random.Generator) -> tuple[Collapse, ...]:
    bones, weights = list(_COLLAPSE_WEIGHT), np.array(list(_COLLAPSE_WEIGHT.values()), dtype=np.float64)
    places = rng.choice(len(bones), size=len(causes), replace=False, p=weights / weights.sum())
    shapes: tuple[CollapseShape, ...] = ("wedge", "biconcave", "crush")
    collapses = []
    for place, cause in zip(places, causes, strict=True):
        shape = "crush" if cause == "malignant" else shapes[int(rng.choice(3, p=(0.5, 0.35, 0.15)))]
        loss = float(rng.uniform(0.25, 0.6))
        collapses.append(Collapse(bone=bones[int(place)], cause=cause, shape=shape, height_loss=loss))
    return tuple(sorted(collapses, key=lambda collapse: -collapse.bone))
