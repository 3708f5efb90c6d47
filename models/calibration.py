"""What the network's scores are worth: fitted on validation exams, kept in the bundle's metadata.

A component of the lesion map is scored by its voxels. From score and volume a logistic regression gives
the probability that it belongs to a lesion, and the probability that it is a lesion of 5 mm or more.
Lesions without a component of their own (missed, or grown together with a neighbour) follow a negative
binomial distribution. What all lesions of one exam share (scanner, coil, motion) shifts their log-odds
together, so that the count spreads wider than independent lesions would.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from marrowmap.data.errors import BundleError, SettingsError

Distribution = npt.NDArray[np.float64]

#: Scores of 0 and 1 have no finite log-odds.
SCORE_LIMITS = (1e-4, 1.0 - 1e-4)
#: Gauss-Hermite nodes for what an exam shares; seven integrate a logistic curve to four digits.
NODES = 7
#: Beyond this many missed lesions the rest of the probability is left out and shared by those before.
MOST_MISSED = 400


@dataclass(frozen=True, kw_only=True)
class Logistic:
    """Log-odds that are linear in the log-odds of the score and in the logarithm of the volume.

    Attributes:
        intercept: At score 0.5 and 1 ml.
        score: For each unit of the score's log-odds.
        volume: For each factor of ten in volume.
    """

    intercept: float
    score: float
    volume: float

    def log_odds(self, score: float, volume_ml: float) -> float:
        """Return the log-odds of a component; a volume of 0 counts as 0.001 ml."""
        low, high = SCORE_LIMITS
        kept = min(max(score, low), high)
        return (
            self.intercept
            + self.score * math.log(kept / (1.0 - kept))
            + self.volume * math.log10(max(volume_ml, 1e-3))
        )

    def probability(self, score: float, volume_ml: float) -> float:
        """Return the probability of a component, in [0, 1]."""
        return 1.0 / (1.0 + math.exp(-min(max(self.log_odds(score, volume_ml), -60.0), 60.0)))


@dataclass(frozen=True, kw_only=True)
class CountSpread:
    """How far the number of focal lesions spreads around what the components say.

    Attributes:
        missed: Mean number of lesions without a component of their own where no component is.
        missed_per_lesion: That many more for every lesion expected among the components.
        missed_size: Of the negative binomial: variance is mean + mean^2 / size; large is Poisson.
        exam_log_odds_sd: Standard deviation of what all log-odds of one exam share.
    """

    missed: float = 0.0
    missed_per_lesion: float = 0.0
    missed_size: float = 1.0
    exam_log_odds_sd: float = 0.0

    def __post_init__(self) -> None:
        """Refuse numbers that no spread has.

        Raises:
            SettingsError: If one is negative or not finite, or the size is 0.
        """
        values = (self.missed, self.missed_per_lesion, self.missed_size, self.exam_log_odds_sd)
        if not all(math.isfinite(value) and value >= 0.0 for value in values) or self.missed_size == 0.0:
            raise SettingsError(
                f"need a count spread of numbers from 0 and a size above 0, found {values}; calibrate again"
            )


#: Nothing missed, nothing shared: the plain Poisson-binomial distribution.
NO_SPREAD = CountSpread()


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What validation exams say of a network's components.

    Attributes:
        lesion: Probability that a component belongs to a lesion of any size.
        focal: Probability that it is a lesion of 5 mm or more, each lesion counted once.
        spread: Of the number of such lesions.
        volume_log_low: 5th percentile of log((true + 1 ml) / (expected + 1 ml)) of the tumour volume.
        volume_log_high: 95th percentile of the same.
        exams: Number of validation exams.
        fitted_on: In words, for reports: how many, simulated or real.
    """

    lesion: Logistic
    focal: Logistic
    spread: CountSpread
    volume_log_low: float
    volume_log_high: float
    exams: int
    fitted_on: str


def calibration_to_json(calibration: Calibration | None) -> dict[str, Any] | None:
    """Return the `calibration` of a bundle's metadata; None for an uncalibrated network."""
    return None if calibration is None else asdict(calibration)


def calibration_from_json(found: Mapping[str, Any] | None) -> Calibration | None:
    """Read the `calibration` of a bundle's metadata; bundles without one load as they always did.

    Raises:
        BundleError: If it is there and not whole.
    """
    if found is None:
        return None
    try:
        parts = {"lesion": Logistic, "focal": Logistic, "spread": CountSpread}
        return Calibration(
            **{**found, **{name: kind(**found[name]) for name, kind in parts.items()}}  # type: ignore[arg-type]
        )
    except (KeyError, TypeError, SettingsError) as error:
        raise BundleError(f"the bundle's calibration is not whole: {error}; calibrate it again") from error


def lesion_score(voxel_probability: npt.NDArray[np.float32]) -> float:
    """Return one score for a component: half way between its mean and its maximum.

    The mean alone punishes blurred edges, the maximum alone trusts a single voxel.
    """
    mean = float(voxel_probability.mean(dtype=np.float64))
    return min(1.0, max(0.0, 0.5 * (mean + float(voxel_probability.max()))))


def poisson_binomial(probabilities: Sequence[float]) -> Distribution:
    """Return the probability of 0, 1, 2 ... lesions that are independent of one another.

    Args:
        probabilities: Of each lesion, in [0, 1].

    Raises:
        SettingsError: If a probability is not in [0, 1].

    Example:
        >>> poisson_binomial([0.5, 0.5]).tolist()
        [0.25, 0.5, 0.25]
    """
    distribution = np.ones(1)
    for probability in probabilities:
        if not 0.0 <= probability <= 1.0:
            raise SettingsError(f"need probabilities of 0 to 1, found {probability}")
        distribution = np.convolve(distribution, (1.0 - probability, probability))
    return distribution


def count_distribution(probabilities: Sequence[float], spread: CountSpread = NO_SPREAD) -> Distribution:
    """Return the probability of 0, 1, 2 ... lesions, what all share and what was missed included.

    Args:
        probabilities: Of each component, in [0, 1]; of exactly 0 and 1 nothing is shared.
        spread: Fitted on validation exams; the default leaves a Poisson-binomial distribution.
    """
    found = _shared(probabilities, spread.exam_log_odds_sd)
    mean = spread.missed + spread.missed_per_lesion * sum(probabilities)
    return found if mean <= 0.0 else np.convolve(found, negative_binomial(mean, spread.missed_size))


def negative_binomial(mean: float, size: float) -> Distribution:
    """Return the probability of 0, 1, 2 ... events, cut where less than 1e-6 is left, adding up to 1.

    Example:
        >>> [round(float(p), 3) for p in negative_binomial(1.0, 1.0)[:3]]
        [0.5, 0.25, 0.125]
    """
    share = mean / (mean + size)
    terms = [math.exp(size * math.log1p(-share))]
    total = terms[0]
    while total < 1.0 - 1e-6 and len(terms) < MOST_MISSED:
        number = len(terms)
        terms.append(terms[-1] * share * (number - 1 + size) / number)
        total += terms[-1]
    return np.array(terms) / total


def _shared(probabilities: Sequence[float], log_odds_sd: float) -> Distribution:
    """Return the Poisson-binomial distribution, averaged over what the exam shares."""
    if log_odds_sd <= 0.0 or not probabilities:
        return poisson_binomial(probabilities)
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    odds = np.exp(nodes * log_odds_sd)[:, None]
    given = np.asarray(probabilities)[None, :]
    shifted = given * odds / (1.0 - given + given * odds)
    counts = np.zeros((NODES, len(probabilities) + 1))
    counts[:, 0] = 1.0
    for number in range(len(probabilities)):
        chance = shifted[:, number, None]
        counts[:, 1 : number + 2] = (
            counts[:, 1 : number + 2] * (1.0 - chance) + counts[:, : number + 1] * chance
        )
        counts[:, 0] *= 1.0 - chance[:, 0]
    return (weights / weights.sum()) @ counts
