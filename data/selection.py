"""Roles -> one set of stations a sequence: orientation, composed against single stations, repeats."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from marrowmap.data import sequence_words as words
from marrowmap.data.errors import SettingsError, StudyError
from marrowmap.data.exam import Sequence
from marrowmap.data.facts import facts_of
from marrowmap.data.sequences import Role, decide_role
from marrowmap.data.series import Series
from marrowmap.data.stacks import Stack

_DIXON = frozenset(words.DIXON_SEQUENCES.values())
#: A station lying this much inside another one adds nothing (part of its length).
_CONTAINED = 0.9


@dataclass(frozen=True, kw_only=True)
class Choices:
    """Series numbers that the user names for a sequence; empty leaves the decision to the headers.

    Attributes:
        t1: Series to take for T1.
        stir: Series to take for STIR or fat-suppressed T2.
        dwi: Series to take for diffusion, the b-values still from their tags.
        adc: Series to take for ADC.
        t2: Series to take for T2.
        contrast: Series to take for T1 after contrast.
        dixon: Series to take for Dixon, water, fat and the rest still from their tags.
    """

    t1: tuple[int, ...] = ()
    stir: tuple[int, ...] = ()
    dwi: tuple[int, ...] = ()
    adc: tuple[int, ...] = ()
    t2: tuple[int, ...] = ()
    contrast: tuple[int, ...] = ()
    dixon: tuple[int, ...] = ()

    def named(self) -> Mapping[Sequence, tuple[int, ...]]:
        """Series numbers by sequence, without diffusion and Dixon, which are several."""
        return {
            Sequence.T1: self.t1,
            Sequence.STIR: self.stir,
            Sequence.ADC: self.adc,
            Sequence.T2: self.t2,
            Sequence.T1_CONTRAST: self.contrast,
        }

    def check(self, series: Iterable[Series]) -> None:
        """Refuse numbers that the study does not have.

        Raises:
            SettingsError: With the numbers that it has.
        """
        found = {s.number for s in series}
        named = (*self.named().values(), self.dwi, self.dixon)
        asked = {number for numbers in named for number in numbers}
        if asked - found:
            raise SettingsError(
                f"no series {min(asked - found)} in this study; found {', '.join(map(str, sorted(found)))}"
            )


@dataclass(frozen=True, kw_only=True)
class Part:
    """Stacks of one series that become one station: one, or repeats and directions to be averaged.

    Attributes:
        series: The series.
        stacks: Stacks at one place with one role.
        role: What they are taken for.
    """

    series: Series
    stacks: tuple[Stack, ...]
    role: Role

    @property
    def key(self) -> Sequence | float | None:
        """What stations are gathered by: the sequence or the b-value; None if left out."""
        return self.role.sequence if self.role.sequence is not None else self.role.b_value_s_per_mm2

    @property
    def orientation(self) -> int:
        """Patient axis nearest to the slice normal: 0 sagittal, 1 coronal, 2 axial."""
        return int(np.argmax(np.abs(self.stacks[0].normal)))

    @property
    def box_ras_mm(self) -> npt.NDArray[np.float64]:
        """Lowest and highest RAS+ corner, mm, `(2, 3)`."""
        stack = self.stacks[0]
        corners = np.array([[c[0], c[1], c[2], 1.0] for c in np.ndindex(2, 2, 2)])
        corners[:, :3] = corners[:, :3] * stack.shape - 0.5
        points = (stack.affine_ras_mm @ corners.T)[:3]
        return np.array([points.min(axis=1), points.max(axis=1)])

    def left_out(self, reason: str) -> Part:
        """Return the part left out for a reason."""
        return replace(self, role=Role(reason=reason))


def check_named(parts: Iterable[Part], choices: Choices) -> None:
    """Refuse series that the user names for diffusion or Dixon but that are neither.

    Args:
        parts: All parts of the study.
        choices: What the user names.

    Raises:
        StudyError: With the reason for which such a series was left out.
    """
    for numbers, name, is_it in (
        (choices.dwi, "diffusion", lambda role: role.b_value_s_per_mm2 is not None),
        (choices.dixon, "Dixon", lambda role: role.sequence in _DIXON),
    ):
        for number in numbers:
            roles = [part.role for part in parts if part.series.number == number]
            if not any(map(is_it, roles)):
                reason = roles[0].reason if roles else "no regular pile of slices"
                raise StudyError(f"series {number} was named for {name} but is none ({reason}); name another")


@dataclass
class _Kept:
    """Parts already kept for one key, with the new verdict on every part."""

    parts: list[Part] = field(default_factory=list)
    boxes: list[npt.NDArray[np.float64]] = field(default_factory=list)


def parts_of(series: Series, choices: Choices) -> list[Part]:
    """Return the parts of one series with their roles; directions are joined to the trace they make.

    Args:
        series: One series.
        choices: What the user names.

    Returns:
        Parts in the order of the stacks, some left out.
    """
    groups: dict[tuple[object, ...], list[Stack]] = defaultdict(list)
    roles: dict[tuple[object, ...], Role] = {}
    for stack in series.stacks:
        role = _chosen(decide_role(facts_of(stack, series)), series.number, choices)
        echo = round(stack.slices[0].echo_time_ms, 1)
        place = tuple(np.round(stack.affine_ras_mm, 1).ravel())
        key = (role, echo, stack.slices[0].direction, stack.shape, place)
        groups[key].append(stack)
        roles[key] = role
    parts = [Part(series=series, stacks=tuple(stacks), role=roles[key]) for key, stacks in groups.items()]
    traced = {p.key for p in parts if p.stacks[0].slices[0].direction == "trace"}
    return [
        p.left_out(f"single directions; the trace image of b = {p.key:g} is used")
        if p.key in traced and p.stacks[0].slices[0].direction == "directional"
        else p
        for p in parts
    ]


def select(parts: Iterable[Part]) -> list[Part]:
    """Choose the stations of every sequence and give the others a reason for being left out.

    One orientation a sequence: the one that covers most from head to foot. Within it a part that lies inside
    another one is left out: a station of a composed series, or a repeat (the later one is kept). A trace goes
    before directions.

    Args:
        parts: All parts of a study.

    Returns:
        All parts, the ones not chosen left out.
    """
    by_key: dict[Sequence | float, list[Part]] = defaultdict(list)
    result = []
    for part in parts:
        if part.key is None:
            result.append(part)
        else:
            by_key[part.key].append(part)
    axes = _diffusion_orientation(by_key)
    for key, candidates in by_key.items():
        result += _select_one(candidates, axes if isinstance(key, float) else None)
    return sorted(result, key=lambda p: (p.series.number, p.series.uid, p.stacks[0].repeat))


def _chosen(role: Role, number: int, choices: Choices) -> Role:
    """Return the role as the user wants it."""
    named = choices.named()
    for sequence, numbers in named.items():
        if number in numbers:
            return Role(sequence=sequence, reason="named by the user")
    for sequence, numbers in named.items():
        if numbers and role.sequence is sequence:
            return Role(reason=f"another series was named for {sequence}")
    if choices.dwi and role.b_value_s_per_mm2 is not None and number not in choices.dwi:
        return Role(reason="another series was named for diffusion")
    if choices.dixon and role.sequence in _DIXON and number not in choices.dixon:
        return Role(reason="another series was named for Dixon")
    return role


def _covered_mm(parts: Iterable[Part]) -> float:
    """Return how much of the body's length the parts cover together, mm."""
    covered, reached = 0.0, -np.inf
    for low, high in sorted((float(p.box_ras_mm[0, 2]), float(p.box_ras_mm[1, 2])) for p in parts):
        covered += max(high - max(low, reached), 0.0)
        reached = max(reached, high)
    return covered


def _best_orientation(parts: list[Part]) -> int:
    """Return the orientation whose parts cover most from head to foot."""
    return max(
        {p.orientation for p in parts}, key=lambda o: _covered_mm(p for p in parts if p.orientation == o)
    )


def _diffusion_orientation(by_key: Mapping[Sequence | float, list[Part]]) -> int | None:
    """Return one orientation for all b-values, None without diffusion."""
    diffusion = [p for key, parts in by_key.items() if isinstance(key, float) for p in parts]
    return _best_orientation(diffusion) if diffusion else None


def _select_one(candidates: list[Part], orientation: int | None) -> list[Part]:
    """Return the candidates of one key with all but the chosen left out."""
    words = ("sagittal", "coronal", "axial")
    best = _best_orientation(candidates) if orientation is None else orientation
    result, kept = [], _Kept()
    for part in sorted(candidates, key=_preference):
        if part.orientation != best:
            result.append(part.left_out(f"{words[part.orientation]}; the {words[best]} series cover more"))
            continue
        inside = _container(part, kept)
        if inside is None:
            kept.parts.append(part)
            kept.boxes.append(part.box_ras_mm)
            result.append(part)
        else:
            result.append(part.left_out(_why_inside(part, inside)))
    return result


def _preference(part: Part) -> tuple[float, ...]:
    """Return the sorting key: long first, trace before directions, later before earlier, early echo."""
    first = part.stacks[0].slices[0]
    length = float(np.ptp(part.box_ras_mm[:, 2]))
    is_trace = first.direction == "trace" or bool({"TRACEW", "TRACE"} & set(first.image_type))
    return (-round(length, -1), not is_trace, len(part.stacks), -part.series.number, first.echo_time_ms)


def _container(part: Part, kept: _Kept) -> Part | None:
    """Return the kept part inside which this one lies, None if it adds something."""
    box = part.box_ras_mm
    for other, around in zip(kept.parts, kept.boxes, strict=True):
        shared = np.minimum(box[1], around[1]) - np.maximum(box[0], around[0])
        # Along the body nearly all must be shared; across it, most (a spine beside a whole body is not).
        if shared[2] >= _CONTAINED * (box[1, 2] - box[0, 2]) and np.all(shared[:2] > 0):
            return other
    return None


def _why_inside(part: Part, inside: Part) -> str:
    """Return why a part that adds nothing is left out."""
    if inside.series.uid == part.series.uid:
        return "another echo or repeat of the same series is used"
    ratio = np.ptp(part.box_ras_mm[:, 2]) / np.ptp(inside.box_ras_mm[:, 2])
    if ratio < _CONTAINED:
        return f"lies inside {inside.series.name}, which covers more"
    return f"a repeat of {inside.series.name}, which is used"
