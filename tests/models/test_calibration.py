from __future__ import annotations

import numpy as np
import pytest

from marrowmap.data.errors import BundleError, SettingsError
from marrowmap.models.calibration import (
    Calibration,
    CountSpread,
    Logistic,
    calibration_from_json,
    calibration_to_json,
    count_distribution,
    negative_binomial,
    poisson_binomial,
)

CALIBRATION = Calibration(
    lesion=Logistic(intercept=-1.0, score=1.2, volume=0.5),
    focal=Logistic(intercept=-0.5, score=1.0, volume=1.0),
    spread=CountSpread(missed=0.5, missed_per_lesion=0.1, missed_size=2.0, exam_log_odds_sd=0.5),
    volume_log_low=-0.3,
    volume_log_high=0.4,
    exams=60,
    fitted_on="60 simulated exams",
)


def test_a_score_of_one_half_and_1_ml_has_the_odds_of_the_intercept() -> None:
    # log-odds -1: 1 / (1 + e)
    assert CALIBRATION.lesion.probability(0.5, 1.0) == pytest.approx(1 / (1 + np.e))


def test_ten_times_the_volume_adds_its_weight_to_the_log_odds() -> None:
    logistic = CALIBRATION.lesion
    assert logistic.log_odds(0.7, 10.0) - logistic.log_odds(0.7, 1.0) == pytest.approx(0.5)


@pytest.mark.parametrize("score", [0.0, 1.0])
def test_a_score_at_the_end_of_its_range_stays_finite(score: float) -> None:
    assert 0.0 < CALIBRATION.lesion.probability(score, 0.0) < 1.0


def test_without_spread_the_count_is_poisson_binomial() -> None:
    assert count_distribution([0.9, 0.2]) == pytest.approx([0.08, 0.74, 0.18])


def test_missed_lesions_of_size_one_halve_with_every_further_one() -> None:
    assert negative_binomial(1.0, 1.0)[:3] == pytest.approx([0.5, 0.25, 0.125], abs=1e-5)


def test_missed_lesions_shift_the_mean_by_their_mean() -> None:
    spread = CountSpread(missed=0.5, missed_per_lesion=0.1, missed_size=3.0)
    distribution = count_distribution([0.5] * 4, spread)
    # 2 among the components, 0.5 + 0.1 x 2 beside them
    assert distribution @ np.arange(len(distribution)) == pytest.approx(2.7, abs=1e-3)
    assert distribution.sum() == pytest.approx(1.0)


def test_what_an_exam_shares_widens_the_count_and_keeps_its_mean() -> None:
    shared = count_distribution([0.5] * 10, CountSpread(exam_log_odds_sd=1.0))
    alone, numbers = poisson_binomial([0.5] * 10), np.arange(11)
    assert shared @ numbers == pytest.approx(5.0)
    variance = [float(d @ (numbers - 5.0) ** 2) for d in (alone, shared)]
    assert variance[0] == pytest.approx(2.5)
    assert variance[1] > 4.0


def test_certain_and_rejected_lesions_share_nothing() -> None:
    distribution = count_distribution([1.0, 1.0, 0.0], CountSpread(exam_log_odds_sd=1.0))
    assert distribution == pytest.approx([0.0, 0.0, 1.0, 0.0])


def test_a_negative_spread_is_refused() -> None:
    with pytest.raises(SettingsError, match="count spread"):
        CountSpread(missed=-0.1)


def test_a_calibration_read_back_is_the_same() -> None:
    assert calibration_from_json(calibration_to_json(CALIBRATION)) == CALIBRATION


def test_a_bundle_without_calibration_has_none() -> None:
    assert calibration_from_json(None) is None
    assert calibration_to_json(None) is None


def test_a_calibration_without_a_part_is_refused() -> None:
    found = calibration_to_json(CALIBRATION)
    assert found is not None
    del found["focal"]
    with pytest.raises(BundleError, match="not whole: 'focal'"):
        calibration_from_json(found)
