"""From the probability of each lesion to the probability of each stage.

Independent lesions are a Poisson-binomial number. Where the network is calibrated, what the lesions of
one exam share widens it and lesions that were missed are added (`models/calibration.py`); without a
calibration the true spread is wider than the one given, and the report says so.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

import numpy as np

from marrowmap.data.errors import SettingsError
from marrowmap.data.skeleton import Region
from marrowmap.inference.staging.counting import COUNTING, CountingSettings, bone_lesions
from marrowmap.inference.staging.imaging import FocalLesion, ImagingFindings
from marrowmap.inference.staging.red_marrow import red_marrow_share
from marrowmap.models.calibration import CountSpread, Distribution, count_distribution

#: For lesions of this diameter and more the network's own focal probability was fitted.
FITTED_MM = 5.0


def focal_probability(lesion: FocalLesion, settings: CountingSettings = COUNTING) -> float | None:
    """Return the probability that a lesion is real and large enough to count.

    A calibrated network says so itself. Otherwise the true diameter is taken as equally likely anywhere
    within its uncertainty. A certain lesion without a probability counts as 1, a rejected one as 0; of
    an equivocal one nothing is known (None).
    """
    if lesion.certainty == "rejected":
        return 0.0
    if lesion.focal_probability is not None and settings.diameter_mm == FITTED_MM:
        return lesion.focal_probability
    is_real = lesion.probability
    if is_real is None:
        if lesion.certainty != "certain":
            return None
        is_real = 1.0
    beyond = lesion.diameter_mm - settings.diameter_mm
    if lesion.uncertainty_mm <= 0.0:
        return is_real * settings.is_focal(lesion.diameter_mm)
    return is_real * float(np.clip(0.5 + beyond / (2.0 * lesion.uncertainty_mm), 0.0, 1.0))


def focal_distribution(
    imaging: ImagingFindings,
    settings: CountingSettings = COUNTING,
    *,
    regions: Collection[Region] | None = None,
) -> Distribution | None:
    """Return the distribution of the focal count, None when the probability of a lesion is not known.

    Args:
        imaging: Lesions with their probabilities, and the spread of a calibrated network.
        settings: What counts as a focal lesion.
        regions: Where to count; missed lesions are shared out as red marrow is. None for everywhere.
    """
    probabilities = [focal_probability(lesion, settings) for lesion in bone_lesions(imaging, regions)]
    known = [probability for probability in probabilities if probability is not None]
    if len(known) < len(probabilities):
        return None
    share = 1.0 if regions is None else red_marrow_share(regions)
    return count_distribution(known, _scaled(imaging.spread, share))


def _scaled(spread: CountSpread, share: float) -> CountSpread:
    """Return the spread of a part of the skeleton; the lesions there bring their own missed ones."""
    return CountSpread(
        missed=spread.missed * share,
        missed_per_lesion=spread.missed_per_lesion,
        missed_size=spread.missed_size,
        exam_log_odds_sd=spread.exam_log_odds_sd,
    )


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
