"""Three-valued logic: true, false, and not known (None), which never counts as normal.

A rule is written once, for a patient of whom everything is known. Where an input is unknown, the rule
runs on every value that the input may have, and what comes out is the set of values still possible.
More knowledge can only make that set smaller.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from functools import lru_cache
from itertools import product
from typing import Any, TypeVar

Claim = bool | None
T = TypeVar("T", bound=Hashable)

#: Differences below this are rounding: 12.6 - 10.6 is 2.0.
ROUNDING = 1e-9


def any_of(*claims: Claim) -> Claim:
    """Return True if one claim is, False if none is, else None."""
    if any(claim is True for claim in claims):
        return True
    return None if any(claim is None for claim in claims) else False


def all_of(*claims: Claim) -> Claim:
    """Return False if one claim is, True if all are, else None."""
    if any(claim is False for claim in claims):
        return False
    return None if any(claim is None for claim in claims) else True


def above(value: float | None, limit: float | None) -> Claim:
    """Return whether a value is strictly above a limit; either may be unknown."""
    return None if value is None or limit is None else value > limit + ROUNDING


def below(value: float | None, limit: float | None) -> Claim:
    """Return whether a value is strictly below a limit; either may be unknown."""
    return above(limit, value)


def at_least(value: float | None, limit: float) -> Claim:
    """Return whether a value reaches a limit."""
    return None if value is None else value >= limit - ROUNDING


def options(claim: Claim) -> tuple[bool, ...]:
    """Return what a claim may turn out to be."""
    return (True, False) if claim is None else (claim,)


def possible(rule: Callable[..., T], facts: Mapping[str, Iterable[Any]]) -> frozenset[T]:
    """Return every value that a rule may take.

    Args:
        rule: Takes the facts by name, each known.
        facts: By name, the values that each may have.
    """
    return _possible(rule, tuple(facts), tuple(map(tuple, facts.values())))


@lru_cache(maxsize=512)
def _possible(
    rule: Callable[..., T], names: tuple[str, ...], options_of: tuple[tuple[Any, ...], ...]
) -> frozenset[T]:
    """Run a rule on every world, once: a report's page asks for many exams of one patient."""
    return frozenset(rule(**dict(zip(names, world, strict=True))) for world in product(*options_of))
