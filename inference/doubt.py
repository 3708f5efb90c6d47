"""How sure the count and the volume are, as in `report.json` `doubt`.

The count of the staging rules is the number of certain lesions. Here stands what it may really be: a
distribution with its 90 % interval, from the probability of every lesion that no reader has rejected.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from marrowmap.data.errors import ReportFileError, SettingsError
from marrowmap.inference.findings import Lesion
from marrowmap.inference.staging.doubt import count_interval, focal_distribution
from marrowmap.inference.staging.imaging import FocalLesion, ImagingFindings
from marrowmap.models.calibration import NO_SPREAD, Calibration, CountSpread

LEVEL = 0.9
#: Less than this is not printed at the end of a distribution.
NEGLIGIBLE = 1e-4
UNCALIBRATED = (
    "the network's probabilities were not calibrated: lesions that it missed are not counted in, and the "
    "true spread is wider"
)


@dataclass(frozen=True, kw_only=True)
class CountDoubt:
    """What the number of focal lesions may be.

    Attributes:
        expected: Mean of the distribution.
        low: Lower end of the interval.
        high: Upper end of the interval.
        distribution: Probability of 0, 1, 2 ... lesions; what is left after the last is below 0.0001.
    """

    expected: float
    low: int
    high: int
    distribution: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class VolumeDoubt:
    """What the tumour volume may be, in ml."""

    expected: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Doubt:
    """How sure count and volume are.

    Attributes:
        is_calibrated: Whether the probabilities were fitted on validation exams.
        fitted_on: On which exams, in words; says what is missing without a calibration.
        level: Of the intervals.
        focal_count: Focal lesions of bone.
        two_or_more: Probability of two focal lesions or more, the biomarker of the 2014 criteria.
        tumour_volume_ml: Volume of the lesions of bone.
        spread: How far the count spreads around the lesions listed.
        volume_log_errors: 5th and 95th percentile of the logarithm of the volume's error; None without
            a calibration. Kept so that a revision gives intervals again.
    """

    is_calibrated: bool
    fitted_on: str
    level: float
    focal_count: CountDoubt
    two_or_more: float
    tumour_volume_ml: VolumeDoubt
    spread: CountSpread
    volume_log_errors: tuple[float, float] | None = None


def describe_doubt(lesions: Sequence[Lesion], calibration: Calibration | None) -> Doubt:
    """Return what count and volume may be.

    Args:
        lesions: All lesions; rejected ones count nowhere.
        calibration: Of the network; None for one that nobody calibrated.
    """
    if calibration is None:
        return _doubt(lesions, NO_SPREAD, UNCALIBRATED, None)
    errors = (calibration.volume_log_low, calibration.volume_log_high)
    return _doubt(lesions, calibration.spread, calibration.fitted_on, errors)


def doubt_again(lesions: Sequence[Lesion], before: Mapping[str, Any] | None) -> Doubt:
    """Return the doubt after a reader's decisions, with the calibration that the report carries.

    Args:
        lesions: All lesions.
        before: `doubt` of the report; None or empty for a report of an older version.

    Raises:
        ReportFileError: If it is not whole.
    """
    if not before:
        return describe_doubt(lesions, None)
    try:
        errors, spread = before["volume_log_errors"], CountSpread(**before["spread"])
        pair = None if errors is None else (float(errors[0]), float(errors[1]))
        return _doubt(lesions, spread, str(before["fitted_on"]), pair)
    except (KeyError, TypeError, IndexError, SettingsError) as error:
        raise ReportFileError(f"doubt of the report is not whole: {error}; run infer again") from error


def _doubt(
    lesions: Sequence[Lesion],
    spread: CountSpread,
    fitted_on: str,
    volume_log_errors: tuple[float, float] | None,
) -> Doubt:
    imaging = ImagingFindings(lesions=tuple(_as_counted(lesion) for lesion in lesions), spread=spread)
    distribution = focal_distribution(imaging)
    if distribution is None:
        raise AssertionError("every lesion of a network has a probability")
    low, high = count_interval(distribution, LEVEL)
    kept = len(distribution) - int(np.argmax(np.cumsum(distribution[::-1]) >= NEGLIGIBLE))
    return Doubt(
        is_calibrated=volume_log_errors is not None,
        fitted_on=fitted_on,
        level=LEVEL,
        focal_count=CountDoubt(
            expected=float(distribution @ np.arange(len(distribution))),
            low=low,
            high=high,
            distribution=tuple(round(float(value), 5) for value in distribution[:kept]),
        ),
        two_or_more=min(1.0, max(0.0, 1.0 - float(distribution[:2].sum()))),
        tumour_volume_ml=_volume(lesions, volume_log_errors),
        spread=spread,
        volume_log_errors=volume_log_errors,
    )


def _as_counted(lesion: Lesion) -> FocalLesion:
    return FocalLesion(
        diameter_mm=lesion.longest_diameter_mm,
        uncertainty_mm=lesion.diameter_uncertainty_mm,
        certainty=lesion.certainty,
        probability=lesion.probability,
        kind=lesion.kind,
        focal_probability=lesion.focal_probability,
    )


def _volume(lesions: Sequence[Lesion], log_errors: tuple[float, float] | None) -> VolumeDoubt:
    """Return the interval of the volume.

    Calibrated: the expected volume times the error that validation exams showed. Otherwise from the
    certain lesions alone, each thinner by half its diameter's uncertainty, to all of them, each thicker.
    """
    kept = [
        lesion for lesion in lesions if lesion.certainty != "rejected" and lesion.kind != "extramedullary"
    ]
    expected = sum(lesion.probability * lesion.volume_ml for lesion in kept)
    if log_errors is not None:
        low, high = ((expected + 1.0) * float(np.exp(error)) - 1.0 for error in log_errors)
        return VolumeDoubt(expected=expected, low=max(low, 0.0), high=max(high, 0.0))
    certain = [lesion for lesion in kept if lesion.certainty == "certain"]
    return VolumeDoubt(
        expected=expected,
        low=min(expected, sum(_resized_ml(lesion, -0.5) for lesion in certain)),
        high=max(expected, sum(_resized_ml(lesion, 0.5) for lesion in kept)),
    )


def _resized_ml(lesion: Lesion, uncertainties: float) -> float:
    """Return a lesion's volume if its diameters were off by so many uncertainties."""
    diameter = max(lesion.longest_diameter_mm, 1e-6)
    factor = 1.0 + uncertainties * lesion.diameter_uncertainty_mm / diameter
    return lesion.volume_ml * max(factor, 0.0) ** 3
