"""From the probability of lesions to the probability of stages, with numbers to check by hand."""

from __future__ import annotations

import numpy as np
import pytest

from marrowmap.data.errors import SettingsError
from marrowmap.inference.clinical import ClinicalInput
from marrowmap.inference.staging.doubt import (
    count_distribution,
    count_interval,
    focal_probability,
    lesions_to_change,
    value_probabilities,
)
from marrowmap.inference.staging.durie_salmon_plus import stage_durie_salmon_plus
from marrowmap.inference.staging.imaging import FocalLesion, ImagingFindings
from marrowmap.inference.staging.imwg_mri import stage_imwg_mri


def test_two_fair_coins_give_a_quarter_a_half_a_quarter() -> None:
    assert count_distribution([0.5, 0.5]).tolist() == [0.25, 0.5, 0.25]


def test_unequal_lesions() -> None:
    # 0.9 and 0.2: neither 0.1 * 0.8, both 0.9 * 0.2
    assert count_distribution([0.9, 0.2]) == pytest.approx([0.08, 0.74, 0.18])


def test_no_lesions_are_surely_none() -> None:
    assert count_distribution([]).tolist() == [1.0]


def test_many_lesions_add_up_to_one() -> None:
    distribution = count_distribution(np.linspace(0.01, 0.99, 99).tolist())
    assert distribution.sum() == pytest.approx(1.0)
    assert (distribution * np.arange(100)).sum() == pytest.approx(49.5)


def test_a_probability_above_one_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"found 1\.2"):
        count_distribution([1.2])


@pytest.mark.parametrize(
    ("lesion", "probability"),
    [
        (FocalLesion(diameter_mm=20.0, probability=0.8), 0.8),
        (FocalLesion(diameter_mm=5.0, uncertainty_mm=1.0, probability=0.8), 0.4),
        (FocalLesion(diameter_mm=5.5, uncertainty_mm=1.0, probability=0.8), 0.6),
        (FocalLesion(diameter_mm=3.9, uncertainty_mm=1.0, probability=0.8), 0.0),
        (FocalLesion(diameter_mm=5.0, uncertainty_mm=0.0), 1.0),
        (FocalLesion(diameter_mm=20.0, certainty="rejected", probability=0.8), 0.0),
        (FocalLesion(diameter_mm=20.0, certainty="equivocal"), None),
    ],
)
def test_a_lesion_counts_when_it_is_real_and_large_enough(
    lesion: FocalLesion, probability: float | None
) -> None:
    assert focal_probability(lesion) == (None if probability is None else pytest.approx(probability))


def test_two_lesions_of_90_per_cent_are_two_in_81_per_cent() -> None:
    lesion = FocalLesion(diameter_mm=20.0, probability=0.9)
    result = stage_imwg_mri(ImagingFindings(lesions=(lesion,) * 2))
    assert result.probabilities == {"negative": 0.01, "single_lesion": 0.18, "positive": 0.81}


def test_five_lesions_of_90_per_cent_are_stage_two_in_59_per_cent() -> None:
    lesion = FocalLesion(diameter_mm=20.0, probability=0.9)
    imaging = ImagingFindings(lesions=(lesion,) * 5, diffuse_grade="none")
    result = stage_durie_salmon_plus(imaging, ClinicalInput())
    assert result.value == "II"
    assert result.probabilities["II"] == pytest.approx(0.9**5, abs=1e-4)
    assert result.extras["lesions_to_change"] == {"more": 16, "fewer": 1}


def test_an_equivocal_lesion_without_probability_gives_no_probabilities() -> None:
    lesion = FocalLesion(diameter_mm=20.0, certainty="equivocal")
    assert stage_imwg_mri(ImagingFindings(lesions=(lesion,))).probabilities == {}


def test_diffuse_disease_holds_the_stage_however_few_lesions() -> None:
    imaging = ImagingFindings(lesions=(FocalLesion(diameter_mm=20.0),) * 6, diffuse_grade="moderate")
    result = stage_durie_salmon_plus(imaging, ClinicalInput())
    assert result.extras["lesions_to_change"] == {"more": 15, "fewer": None}


def test_interval_of_the_count() -> None:
    assert count_interval(count_distribution([1.0, 1.0, 1.0])) == (3, 3)
    assert count_interval(count_distribution([])) == (0, 0)
    assert count_interval(count_distribution([0.5] * 4), level=0.8) == (1, 3)
    # 4 coins: 1/16 for 0, 1/16 for 4; leaving 5 % on each side keeps all
    assert count_interval(count_distribution([0.5] * 4), level=0.9) == (0, 4)


def test_value_probabilities_of_a_truth_value_are_named_as_json_names_them() -> None:
    assert value_probabilities(count_distribution([0.5]), lambda count: count > 0) == {
        "false": 0.5,
        "true": 0.5,
    }


def test_never_is_none() -> None:
    assert lesions_to_change(0, lambda count: "same") == {"more": None, "fewer": None}
