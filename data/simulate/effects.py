"""What goes wrong or differs in a real acquisition, each by a name that can be asked for.

An effect has a strength between 0 (absent) and 1 (the worst that is still sent to be read). What a strength
means in mm, per cent or ms stands where the effect is made: `artefacts.py`, `field_map.py`, `scanner.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from marrowmap.data.errors import SettingsError


class Effect(StrEnum):
    """An effect of the acquisition; the value is its name in options and in `truth.json`."""

    CROSS_TALK = "cross_talk"
    DISTORTION = "distortion"
    CHEMICAL_SHIFT = "chemical_shift"
    BREATHING = "breathing"
    BOWEL_MOTION = "bowel_motion"
    SEQUENCE_SHIFT = "sequence_shift"
    NOISE_FLOOR = "noise_floor"
    G_FACTOR = "g_factor"
    GHOSTS = "ghosts"
    METAL = "metal"
    WRAP_AROUND = "wrap_around"
    MISSING_STATION = "missing_station"
    MISSING_SEQUENCE = "missing_sequence"
    POST_CONTRAST = "post_contrast"
    SPAIR = "spair"
    SEVERAL_B = "several_b"
    BREATHING_STEPS = "breathing_steps"


#: Effects that are there only when asked for, and that draw nothing: drawing more would change every exam.
ON_REQUEST = frozenset({Effect.BREATHING_STEPS})

#: How often each is there when nobody asks; physics is nearly always there, accidents are rare.
SHARE: Mapping[Effect, float] = {
    Effect.CROSS_TALK: 0.5,
    Effect.DISTORTION: 0.9,
    Effect.CHEMICAL_SHIFT: 0.9,
    Effect.BREATHING: 0.8,
    Effect.BOWEL_MOTION: 0.6,
    Effect.SEQUENCE_SHIFT: 0.8,
    Effect.NOISE_FLOOR: 0.6,
    Effect.G_FACTOR: 0.7,
    Effect.GHOSTS: 0.35,
    Effect.METAL: 0.08,
    Effect.WRAP_AROUND: 0.06,
    Effect.MISSING_STATION: 0.05,
    Effect.MISSING_SEQUENCE: 0.12,
    Effect.POST_CONTRAST: 0.04,
    Effect.SPAIR: 0.25,
    Effect.SEVERAL_B: 0.2,
}


@dataclass(frozen=True, kw_only=True)
class Effects:
    """The effects of one acquisition.

    Attributes:
        strengths: From effect to strength, above 0 and up to 1; what is not in it is absent.
    """

    strengths: Mapping[Effect, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse strengths out of range.

        Raises:
            SettingsError: If a strength is not above 0 and at most 1.
        """
        for effect, strength in self.strengths.items():
            if not 0 < strength <= 1:
                raise SettingsError(f"need a strength of {effect} above 0 and up to 1, found {strength:g}")

    def of(self, effect: Effect) -> float:
        """Return the strength of an effect, 0.0 where it is absent."""
        return self.strengths.get(effect, 0.0)

    def __contains__(self, effect: object) -> bool:
        """Say whether an effect is there."""
        return effect in self.strengths


def draw_effects(rng: np.random.Generator, *, wanted: Iterable[str] | None = None) -> Effects:
    """Return the effects of one acquisition.

    Args:
        rng: Source of randomness; as much is drawn whatever is wanted.
        wanted: Names of the effects to show, all others absent; None draws each by `SHARE`.

    Returns:
        Effects with strengths of 0.1 to 1, or of 0.5 to 1 where they were asked for; those of `ON_REQUEST`
        only then.

    Raises:
        SettingsError: If a name is unknown.
    """
    chosen = None if wanted is None else effects_named(wanted)
    strengths, strength = {}, 1.0
    for effect in Effect:
        if effect not in ON_REQUEST:
            chance, strength = rng.random(2)
        elif chosen is None:
            continue
        else:
            chance = 1.0
        if chosen is None and chance < SHARE[effect]:
            strengths[effect] = float(0.1 + 0.9 * strength)
        elif chosen is not None and effect in chosen:
            strengths[effect] = float(0.5 + 0.5 * strength)
    return Effects(strengths=strengths)


def effects_named(names: Iterable[str]) -> frozenset[Effect]:
    """Return effects by their names.

    Raises:
        SettingsError: If a name is unknown; the text lists those that there are.
    """
    words = list(names)
    unknown = [name for name in words if name not in list(Effect)]
    if unknown:
        raise SettingsError(f"unknown effect {unknown[0]!r}; use some of {', '.join(Effect)}")
    return frozenset(Effect(name) for name in words)
