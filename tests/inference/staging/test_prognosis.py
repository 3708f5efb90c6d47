"""Prognostic notes at both sides of every limit; what is not known gives no note."""

from __future__ import annotations

from typing import Any

import pytest

from marrowmap.inference.clinical import ClinicalInput
from marrowmap.inference.staging.imaging import FocalLesion, ImagingFindings
from marrowmap.inference.staging.prognosis import (
    extent_note,
    marrow_adc_note,
    pet_note,
    prognostic_notes,
    smouldering_note,
)


def imaging(number: int, grade: Any = "none") -> ImagingFindings:
    return ImagingFindings(lesions=(FocalLesion(diameter_mm=12.0),) * number, diffuse_grade=grade)


def test_focal_lesions_in_smouldering_disease_at_both_sides() -> None:
    notes = [smouldering_note(imaging(number)) for number in (0, 1, 2)]
    assert notes[0] is None
    assert notes[1] is not None
    assert "a focal lesion was" in notes[1].text
    assert notes[2] is not None
    assert "more than one focal lesion" in notes[2].text
    assert notes[2].source.startswith("Hillengass")


@pytest.mark.parametrize(
    ("number", "grade", "stage"),
    [
        (0, "none", "no abnormality"),
        (1, "none", "fewer than 10"),
        (9, "none", "fewer than 10"),
        (10, "none", None),
        (11, "none", "more than 10"),
        (0, "mild", "fewer than 10"),
        (0, "moderate", "more than 10"),
        (0, "severe", "more than 10"),
        (0, None, None),
        (11, None, "more than 10"),
    ],
)
def test_three_stages_of_extent(number: int, grade: Any, stage: str | None) -> None:
    note = extent_note(imaging(number, grade))
    assert (note is None) if stage is None else (note is not None and stage in note.text)


@pytest.mark.parametrize(
    ("adc", "months"),
    [(488.5, 52), (488.6, 45), (654.4, 45), (654.5, 34), (774.9, 34), (775.0, 26), (2000.0, 26)],
)
def test_a_higher_adc_of_the_marrow_went_with_a_shorter_course(adc: float, months: int) -> None:
    note = marrow_adc_note(adc)
    assert note is not None
    assert f"survival of {months} months" in note.text


def test_pet_lesions_count_above_three() -> None:
    assert pet_note(ClinicalInput(pet_focal_lesions=3)) is None
    assert pet_note(ClinicalInput(pet_focal_lesions=4)) is not None


def test_with_nothing_known_nothing_is_said() -> None:
    assert prognostic_notes(ImagingFindings(), ClinicalInput(), None) == ()
