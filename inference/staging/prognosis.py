"""What cohorts showed about findings like these: notes with their source, never a forecast for a person.

The cut-offs that are rules of their own (more than 7 lesions, three large ones, vertebral patterns) have
their own files. No cut-off of the tumour volume is printed: none was verified in myeloma.
"""

from __future__ import annotations

from dataclasses import dataclass

from marrowmap.inference.clinical import ClinicalInput
from marrowmap.inference.staging.counting import COUNTING, CountingSettings, count_focal, is_micronodular
from marrowmap.inference.staging.imaging import ImagingFindings
from marrowmap.inference.staging.tri import above

SMOULDERING_SOURCE = "Hillengass, J Clin Oncol 2010;28:1606"
STAGES_SOURCE = "three MRI stages, n = 77; read in a review, not on the paper"
MARROW_ADC_SOURCE = "Front Oncol 2022, doi:10.3389/fonc.2022.780078"
PET_SOURCE = "Bartel, Blood 2009;114:2068"
#: Upper limit of each band of the marrow's ADC in um2/s, and the median progression-free survival in months.
MARROW_ADC_BANDS = ((488.6, 52), (654.5, 45), (775.0, 34), (float("inf"), 26))
MANY_FOCI = 10
MANY_ON_PET = 3


@dataclass(frozen=True, kw_only=True)
class Note:
    """One sentence for the reader, as in `report.json` `notes[]`.

    Attributes:
        code: What kind of note.
        text: The sentence.
        source: Where it was published; empty where it follows from the findings alone.
    """

    code: str
    text: str
    source: str = ""


def prognostic_notes(
    imaging: ImagingFindings,
    clinical: ClinicalInput,
    marrow_adc_um2_per_s: float | None,
    settings: CountingSettings = COUNTING,
) -> tuple[Note, ...]:
    """Return what was observed in cohorts with such findings.

    Args:
        imaging: Lesions and diffuse grade.
        clinical: With the number of lesions on PET, where PET was done.
        marrow_adc_um2_per_s: Median ADC of the skeleton outside lesions; None where not measured.
        settings: What counts as a focal lesion.

    Source: Hillengass 2010 (abstract read); a three-stage scheme (review); Front Oncol 2022 for the ADC of
    the marrow; Bartel 2009 (abstract read).
    """
    found = (
        smouldering_note(imaging, settings),
        extent_note(imaging, settings),
        marrow_adc_note(marrow_adc_um2_per_s),
        pet_note(clinical),
    )
    return tuple(note for note in found if note is not None)


def smouldering_note(imaging: ImagingFindings, settings: CountingSettings = COUNTING) -> Note | None:
    """Return the note on focal lesions in smouldering disease: one, and more than one."""
    sure = count_focal(imaging, settings).sure
    if not sure:
        return None
    what = "more than one focal lesion was the strongest adverse factor" if sure > 1 else (
        "a focal lesion was an adverse factor"
    )  # fmt: skip
    text = f"in smouldering myeloma, {what}; 28 % of 149 patients had focal lesions on whole-body MRI"
    return Note(code="prognosis_smouldering", text=text, source=SMOULDERING_SOURCE)


def extent_note(imaging: ImagingFindings, settings: CountingSettings = COUNTING) -> Note | None:
    """Return the MRI stage of three: none; fewer than 10 foci or mild; more than 10 or strongly diffuse.

    Exactly 10 foci are in neither of the published groups and get no note. An unknown diffuse grade
    leaves only the highest stage sayable.
    """
    sure, grade = count_focal(imaging, settings).sure, imaging.diffuse_grade
    if sure > MANY_FOCI or grade in ("moderate", "severe"):
        stage = "more than 10 foci or strongly diffuse disease"
    elif grade is None or sure == MANY_FOCI:
        return None
    elif sure or grade == "mild" or is_micronodular(imaging, settings):
        stage = "fewer than 10 foci or mild diffuse disease"
    else:
        stage = "no abnormality"
    text = f"of three MRI stages that went with survival in treated myeloma, this is: {stage}"
    return Note(code="prognosis_extent", text=text, source=STAGES_SOURCE)


def marrow_adc_note(adc_um2_per_s: float | None) -> Note | None:
    """Return the note on the ADC of the marrow outside lesions: at baseline, higher is worse."""
    if adc_um2_per_s is None:
        return None
    months = next(pfs for limit, pfs in MARROW_ADC_BANDS if adc_um2_per_s < limit)
    text = (
        f"before treatment, patients with a marrow ADC in the band of {adc_um2_per_s:.0f} um2/s had a median "
        f"progression-free survival of {months} months (bands below 489, 655, 775 and above: 52, 45, 34, 26; "
        "n = 381); their ADC was measured in other ways and places than this one"
    )
    return Note(code="prognosis_marrow_adc", text=text, source=MARROW_ADC_SOURCE)


def pet_note(clinical: ClinicalInput) -> Note | None:
    """Return the note on more than three lesions on PET; none without PET."""
    if above(clinical.pet_focal_lesions, MANY_ON_PET) is not True:
        return None
    text = "more than 3 avid focal lesions on PET went with worse survival (n = 239)"
    return Note(code="prognosis_pet", text=text, source=PET_SOURCE)
