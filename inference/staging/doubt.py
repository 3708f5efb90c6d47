"""From the probability of each lesion to the probability of each stage.

Lesions are taken as independent, so that their number follows a Poisson-binomial distribution. The
lesions of one exam share their scanner and reader and are not quite independent: the true spread is
rather wider than this one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import numpy.typing as npt

from marrowmap.data.errors import SettingsError
from marrowmap.inference.staging.counting import COUNTING, CountingSettings
from marrowmap.inference.staging.imaging import FocalLesion

Distribution = npt.NDArray[np.float64]


def focal_probability(lesion: FocalLesion, settings: CountingSettings = COUNTING) -> float | None:
    """Return the probability that a lesion is real and large enough to count.

    The true diameter is taken as equally likely anywhere within its uncertainty. A certain lesion
    without a probability counts as 1, a rejected one as 0; of an equivocal one nothing is known (None).
    """
    if lesion.certainty == "rejected":
        return 0.0
    is_real = lesion.probability
    if is_real is None:
        if lesion.certainty != "certain":
            return None
        is_real = 1.0
    beyond = lesion.diameter_mm - settings.diameter_mm
    if lesion.uncertainty_mm <= 0.0:
        return is_real * settings.is_focal(lesion.diameter_mm)
    return is_real * float(np.clip(0.5 + beyond / (2.0 * lesion.uncertainty_mm), 0.0, 1.0))


def count_distribution(probabilities: Iterable[float]) -> Distribution:
    """Return the probability of 0, 1, 2 ... lesions.

    Args:
        probabilities: Of each lesion, in [0, 1].

    Returns:
        One number more than there are lesions, adding up to 1.

    Raises:
        SettingsError: If a probability is not in [0, 1].

    Example:
        >>> count_distribution([0.5, 0.5]).tolist()
        [0.25, 0.5, 0.25]
    """
    distribution = np.ones(1)
    for probability in probabilities:
        if not 0.0 <= probability <= 1.0:
            raise SettingsError(f"need probabilities of 0 to 1, found {probability}")
        distribution = np.convolve(distribution, (1.0 - probability, probability))
    return distribution


def focal_distribution(
    lesions: Sequence[FocalLesion], settings: CountingSettings = COUNTING
) -> Distribution | None:
    """Return the distribution of the focal count, None when the probability of a lesion is not known."""
    probabilities = [focal_probability(lesion, settings) for lesion in lesions]
    known = [probability for probability in probabilities if probability is not None]
    return count_distribution(known) if len(known) == len(probabilities) else None


def count_interval(distribution: Distribution, level: float = 0.9) -> tuple[int, int]:
    """Return the central interval of the count that holds at least this probability."""
    if not 0.0 < level < 1.0:
        raise SettingsError(f"need a level between 0 and 1, found {level}")
    cumulative = np.cumsum(distribution)
    tail = (1.0 - level) / 2.0
    low = int(np.searchsorted(cumulative, tail + 1e-12))
    high = int(np.searchsorted(cumulative, 1.0 - tail - 1e-12))
    return low, min(high, len(distribution) - 1)


def value_probabilities(
    distribution: Distribution | None, value_of: Callable[[int], object]
) -> dict[str, float]:
    """Return the probability of each value of a rule that depends on the count alone.

    Args:
        distribution: Of the count; None gives nothing.
        value_of: Value of the rule at a count.

    Returns:
        By value in lower case for truth values (`true`, `false`), rounded to 4 digits.
    """
    if distribution is None:
        return {}
    sums: dict[str, float] = {}
    for count, probability in enumerate(distribution):
        value = value_of(count)
        key = str(value).lower() if isinstance(value, bool) else str(value)
        sums[key] = sums.get(key, 0.0) + float(probability)
    return {key: round(min(total, 1.0), 4) for key, total in sums.items()}


def lesions_to_change(
    count: int, value_of: Callable[[int], object], *, farthest: int = 200
) -> dict[str, int | None]:
    """Return how many lesions more (`more`) or fewer (`fewer`) would change the value; None for never."""
    now = value_of(count)
    more = next((step for step in range(1, farthest) if value_of(count + step) != now), None)
    fewer = next((step for step in range(1, count + 1) if value_of(count - step) != now), None)
    return {"more": more, "fewer": fewer}
