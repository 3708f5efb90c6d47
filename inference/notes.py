"""Prompts for the reader, as in `report.json` `notes[]`: what to think of, never what to do.

Alerts are what to look at first; notes are what to keep in mind while reading the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from marrowmap.data.skeleton import Region
from marrowmap.inference.clinical import ClinicalInput
from marrowmap.inference.collapse import MYELOMA_PITFALL, SpineFindings
from marrowmap.inference.counts import is_certain_focal
from marrowmap.inference.findings import Burden, Lesion, Pattern
from marrowmap.inference.staging.imaging import ImagingFindings
from marrowmap.inference.staging.prognosis import Note, prognostic_notes
from marrowmap.inference.staging.red_marrow import red_marrow_seen

#: Radiographs: from here on lytic lesions.
LYTIC_SCALE = 2
AXIAL = (Region.CERVICAL_SPINE, Region.THORACIC_SPINE, Region.LUMBAR_SPINE, Region.SACRUM_PELVIS)
MORE_ON_ONE_BY = 2


def find_notes(
    lesions: Sequence[Lesion],
    pattern: Pattern,
    burden: Burden,
    coverage: Mapping[str, str],
    spine: SpineFindings,
    imaging: ImagingFindings,
    clinical: ClinicalInput,
) -> tuple[Note, ...]:
    """Return what the reader should keep in mind.

    Args:
        lesions: All lesions; rejected ones count nowhere.
        pattern: How the marrow is infiltrated.
        burden: With the ADC of the marrow outside lesions.
        coverage: How much of each region was imaged, by key.
        spine: Levels and collapses.
        imaging: The same findings as the rules see them.
        clinical: What the clinic knows.
    """
    kept = [lesion for lesion in lesions if lesion.certainty != "rejected"]
    return (
        *_normal(kept, pattern),
        *_single(kept),
        *_equivocal(kept),
        *_scars(kept),
        *_confluent(kept),
        *_pattern(pattern),
        *discordances(kept, clinical),
        *_coverage(coverage),
        *_spine(spine),
        *prognostic_notes(imaging, clinical, burden.marrow_adc_um2_per_s.median),
    )


def _normal(kept: Sequence[Lesion], pattern: Pattern) -> list[Note]:
    if kept or pattern.label != "normal":
        return []
    text = (
        "nothing seen does not mean no myeloma: MRI looks normal in 50 to 75 % of early disease and in about "
        "20 % of stage III, because infiltration between fat cells can be invisible"
    )
    return [
        Note(
            code="normal_mri", text=text, source="Lecouvet, Radiology 1997;204:195; review of MRI in myeloma"
        )
    ]


def _single(kept: Sequence[Lesion]) -> list[Note]:
    certain = [lesion for lesion in kept if is_certain_focal(lesion)]
    if len(certain) != 1:
        return []
    text = (
        f"lesion {certain[0].id} is the only certain focal lesion: look for a second one, also where the "
        "exam ends; most solitary plasmacytomas had further lesions on whole-body MRI (17 of 17 in one "
        "series), and about half become myeloma within 3 years by a textbook figure"
    )
    return [
        Note(code="single_lesion", text=text, source="Fechtner, Radiology 2010, doi:10.1148/radiol.10091809")
    ]


def _equivocal(kept: Sequence[Lesion]) -> list[Note]:
    numbers = [str(lesion.id) for lesion in kept if lesion.certainty == "equivocal"]
    if not numbers:
        return []
    text = (
        f"equivocal lesions ({_listed(numbers)}) wait for a reader; where they would decide and stay in "
        "doubt, the paper repeats MRI after 3 to 6 months"
    )
    source = "Dimopoulos, J Clin Oncol 2015;33:657, doi:10.1200/JCO.2014.57.9961"
    return [Note(code="equivocal_lesions", text=text, source=source)]


def _scars(kept: Sequence[Lesion]) -> list[Note]:
    treated = [str(lesion.id) for lesion in kept if lesion.status == "treated"]
    if not treated:
        return []
    text = (
        f"visible is not active: lesions {_listed(treated)} have the ADC of treated tissue; "
        "PET can be negative while such lesions stay visible"
    )
    return [Note(code="visible_not_active", text=text)]


def _confluent(kept: Sequence[Lesion]) -> list[Note]:
    grown = [f"{lesion.id} (about {lesion.parts})" for lesion in kept if lesion.parts > 1]
    if not grown:
        return []
    text = (
        f"counted as one each, but necks divide them: lesions {_listed(grown)} may be several grown together"
    )
    return [Note(code="confluent_lesions", text=text)]


def _pattern(pattern: Pattern) -> list[Note]:
    if pattern.label != "micronodular":
        return []
    text = (
        "the micronodular pattern is called with low confidence: its nodules are at or below the resolution "
        "of diffusion, and noise and fatty islands look alike"
    )
    return [Note(code="micronodular_low_confidence", text=text)]


def discordances(kept: Sequence[Lesion], clinical: ClinicalInput) -> list[Note]:
    """Return where MRI and another modality disagree; what was not done says nothing."""
    focal = sum(is_certain_focal(lesion) for lesion in kept)
    lytic, scale, avid = clinical.lytic_lesions_ct, clinical.bone_scale, clinical.pet_focal_lesions
    texts = []
    if focal and scale is not None and scale < LYTIC_SCALE:
        texts.append(
            f"MRI shows {focal} focal lesions and radiographs no lysis: lysis shows only after a third to a "
            "half of the trabeculae is gone"
        )
    if focal and lytic == 0:
        texts.append(f"MRI shows {focal} focal lesions and CT no lysis: marrow disease can precede lysis")
    if not focal and ((lytic or 0) > 0 or (scale or 0) >= LYTIC_SCALE):
        texts.append("lysis is known and MRI shows no focal lesion: neither excludes the other")
    if avid is not None and focal - avid >= MORE_ON_ONE_BY:
        texts.append(
            f"MRI shows {focal} focal lesions and PET {avid}: PET is less sensitive for few or diffuse "
            "lesions before treatment, and goes dark earlier under it"
        )
    if avid is not None and avid - focal >= MORE_ON_ONE_BY:
        texts.append(f"PET shows {avid} focal lesions and MRI {focal}: look at the sites again")
    return [Note(code="discordant_modalities", text=text) for text in texts]


def _coverage(coverage: Mapping[str, str]) -> list[Note]:
    seen = red_marrow_seen(coverage)
    notes = []
    if seen < 0.995:
        text = f"about {100 * seen:.0f} % of an adult's red marrow was imaged"
        source = "Cristy, Phys Med Biol 1981;26:389 (ICRP 70)"
        notes.append(Note(code="red_marrow_seen", text=text, source=source))
    outside = [region for region in Region if region not in AXIAL]
    if all(coverage.get(region.key, "absent") == "absent" for region in outside):
        text = (
            "axial exam: skull, ribs, sternum and limbs were not imaged; axial coverage alone misses about "
            "half of the lesions, and the count is a lower limit"
        )
        notes.append(Note(code="axial_only", text=text))
    return notes


def _spine(spine: SpineFindings) -> list[Note]:
    texts = [Note(code="vertebral_numbering", text=text) for text in spine.warnings]
    if spine.collapses:
        text = (
            f"the look of a collapse is no diagnosis: {MYELOMA_PITFALL}; fractures also befall vertebrae of "
            "normal signal, and no level can be foretold"
        )
        texts.append(
            Note(code="collapse_pitfall", text=text, source="Lecouvet, Radiology 1997 (PubMed 9205246)")
        )
    return texts


def _listed(numbers: Sequence[str], most: int = 12) -> str:
    """Return the first numbers as words, and how many more there are."""
    more = f" and {len(numbers) - most} more" if len(numbers) > most else ""
    return ", ".join(numbers[:most]) + more
