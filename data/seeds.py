"""Which seeds of the simulator belong to training, validation and test. The only place that says so."""

from __future__ import annotations

from collections.abc import Iterable

from marrowmap.data.errors import SeedError

TRAINING_SEEDS = range(0, 10_000)
VALIDATION_SEEDS = range(10_000, 20_000)
TEST_SEEDS_FROM = 20_000


def require_training_seeds(seeds: Iterable[int]) -> None:
    """Refuse any seed that does not belong to training.

    Raises:
        SeedError: If a seed lies outside 0-9999.
    """
    _require(seeds, TRAINING_SEEDS, "training")


def require_validation_seeds(seeds: Iterable[int]) -> None:
    """Refuse any seed that does not belong to validation.

    Raises:
        SeedError: If a seed lies outside 10000-19999.
    """
    _require(seeds, VALIDATION_SEEDS, "validation")


def _require(seeds: Iterable[int], allowed: range, purpose: str) -> None:
    outside = [seed for seed in seeds if seed not in allowed]
    if outside:
        raise SeedError(
            f"{purpose} needs seeds {allowed.start} to {allowed.stop - 1}, found {outside[0]}; "
            f"seeds of {TEST_SEEDS_FROM} and above are kept for tests"
        )
