"""The published rules on hand-made patients: the vectors of the rule tables, and both sides of each limit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from marrowmap.data.skeleton import Region
from marrowmap.inference.clinical import ClinicalInput, Fish, clinical_from_mapping
from marrowmap.inference.staging.all_rules import stage_all
from marrowmap.inference.staging.durie_salmon import stage_durie_salmon
from marrowmap.inference.staging.durie_salmon_plus import stage_durie_salmon_plus
from marrowmap.inference.staging.imaging import FocalLesion, ImagingFindings
from marrowmap.inference.staging.imwg_2014 import stage_imwg_2014
from marrowmap.inference.staging.imwg_mri import stage_imwg_mri
from marrowmap.inference.staging.iss import stage_iss
from marrowmap.inference.staging.lecouvet import stage_lecouvet
from marrowmap.inference.staging.met_rads import stage_met_rads_p
from marrowmap.inference.staging.my_rads import stage_my_rads
from marrowmap.inference.staging.r2_iss import stage_r2_iss
from marrowmap.inference.staging.r_iss import stage_r_iss
from marrowmap.inference.staging.rasche import stage_rasche
from marrowmap.inference.staging.smm_20_2_20 import stage_smm_20_2_20
from marrowmap.inference.staging.smm_imwg_points import stage_smm_imwg_points
from marrowmap.inference.staging.walker import stage_walker

NO_FISH = Fish(del17p=False, t4_14=False, t14_16=False, gain_1q=False, del13q=False)
#: Smouldering but for what a test changes: 15 % plasma cells, no event, all known.
KNOWN = ClinicalInput(
    haemoglobin_g_per_dl=13.0,
    haemoglobin_lower_limit_g_per_dl=12.5,
    calcium_mg_per_dl=9.5,
    calcium_upper_limit_mg_per_dl=10.5,
    creatinine_mg_per_dl=0.9,
    creatinine_clearance_ml_per_min=80.0,
    albumin_g_per_dl=4.0,
    beta2_microglobulin_mg_per_l=3.0,
    ldh_u_per_l=180.0,
    ldh_upper_limit_u_per_l=250.0,
    plasma_cells_percent=15.0,
    m_protein_type="IgG",
    m_protein_serum_g_per_dl=2.0,
    m_protein_urine_g_per_24h=0.1,
    flc_involved_mg_per_l=30.0,
    flc_ratio=3.0,
    fish=NO_FISH,
    lytic_lesions_ct=0,
    bone_scale=0,
    extramedullary_disease=False,
    biopsy_proven_plasmacytoma=False,
    amyloidosis=False,
)
MGUS = replace(KNOWN, plasma_cells_percent=5.0, m_protein_serum_g_per_dl=1.0)
PLASMACYTOMA = replace(MGUS, plasma_cells_percent=0.0, biopsy_proven_plasmacytoma=True)


def seen(*diameters_mm: float, grade: Any = "none", u: float = 0.5, **keys: Any) -> ImagingFindings:
    """Return findings with certain lesions of these diameters in the lumbar spine."""
    lesions = tuple(
        FocalLesion(diameter_mm=diameter, uncertainty_mm=u, region=Region.LUMBAR_SPINE)
        for diameter in diameters_mm
    )
    return ImagingFindings(lesions=lesions, diffuse_grade=grade, **keys)


# ---- Durie-Salmon PLUS -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "stage"), [(0, "0"), (1, "I"), (4, "I"), (5, "II"), (20, "II"), (21, "III")]
)
def test_durie_salmon_plus_counts_lesions_in_bands(number: int, stage: str) -> None:
    assert stage_durie_salmon_plus(seen(*[10.0] * number), ClinicalInput()).value == stage


@pytest.mark.parametrize(
    ("number", "grade", "stage"),
    [(0, "severe", "III"), (2, "moderate", "II"), (0, "mild", "I"), (6, "mild", "II"), (0, "moderate", "II")],
)
def test_durie_salmon_plus_takes_the_worse_of_count_and_grade(number: int, grade: str, stage: str) -> None:
    assert stage_durie_salmon_plus(seen(*[10.0] * number, grade=grade), ClinicalInput()).value == stage


def test_thirty_nodules_of_4_9_mm_are_micronodular_and_stage_one() -> None:
    result = stage_durie_salmon_plus(seen(*[4.9] * 30), ClinicalInput())
    assert (result.value, result.inputs["focal_lesions"]) == ("I", 0)


def test_lesions_of_exactly_5_mm_count() -> None:
    assert stage_durie_salmon_plus(seen(5.0), ClinicalInput()).inputs["focal_lesions"] == 1


@pytest.mark.parametrize(
    ("creatinine", "disease_outside", "suffix"),
    [
        (1.9, False, "A"),
        (2.0, False, "B"),
        (1.0, True, "B"),
        (None, None, None),
        (None, True, "B"),
        (1.0, None, None),
        (None, False, None),
        (2.0, None, "B"),
    ],
)
def test_durie_salmon_plus_suffix(creatinine: float | None, disease_outside: Any, suffix: str | None) -> None:
    clinical = ClinicalInput(creatinine_mg_per_dl=creatinine, extramedullary_disease=disease_outside)
    result = stage_durie_salmon_plus(seen(*[10.0] * 6), clinical)
    assert (result.value, result.extras["suffix"]) == ("II", suffix)


def test_suffix_of_stage_one_is_about_end_organ_damage_not_creatinine_of_2() -> None:
    imaging = seen(10.0)
    at_limit = replace(KNOWN, creatinine_mg_per_dl=2.0)
    assert stage_durie_salmon_plus(imaging, at_limit).extras["suffix"] == "A"
    assert stage_durie_salmon_plus(imaging, replace(KNOWN, calcium_mg_per_dl=12.0)).extras["suffix"] == "B"
    assert stage_durie_salmon_plus(imaging, ClinicalInput()).extras["suffix"] is None
    assert stage_durie_salmon_plus(imaging, PLASMACYTOMA).extras["suffix"] == "A"


def test_without_laboratory_durie_salmon_plus_is_imaging_only_and_says_so() -> None:
    result = stage_durie_salmon_plus(seen(*[10.0] * 6), ClinicalInput())
    assert result.status == "imaging_only"
    assert "imaging component" in result.warnings[0]
    assert stage_durie_salmon_plus(seen(*[10.0] * 6), KNOWN).status == "complete"


def test_an_old_stage_one_by_laboratory_is_upstaged_by_many_lesions_and_the_difference_is_told() -> None:
    results = stage_all(seen(*[10.0] * 25), replace(KNOWN, beta2_microglobulin_mg_per_l=4.0))
    assert [results[key].value for key in ("durie_salmon", "iss", "durie_salmon_plus")] == ["I", "II", "III"]
    assert any("laboratory items" in warning for warning in results["durie_salmon_plus"].warnings)


def test_an_unknown_diffuse_grade_leaves_everything_above_the_count_possible() -> None:
    result = stage_durie_salmon_plus(seen(*[10.0] * 6, grade=None), ClinicalInput())
    assert (result.value, result.candidates, result.status) == (None, ("II", "III"), "unknown")
    assert stage_durie_salmon_plus(seen(*[10.0] * 21, grade=None), ClinicalInput()).value == "III"


# ---- IMWG 2014 ---------------------------------------------------------------------------------------


def imwg(imaging: ImagingFindings, **changes: Any) -> Any:
    """Return the class of the known patient with changes."""
    return stage_imwg_2014(imaging, replace(KNOWN, **changes)).value


def events(imaging: ImagingFindings, **changes: Any) -> list[str]:
    """Return the myeloma-defining events of the known patient with changes."""
    return stage_imwg_2014(imaging, replace(KNOWN, **changes)).extras["events"]


def test_two_focal_lesions_define_myeloma() -> None:
    assert imwg(seen(12.0, 7.0)) == "multiple_myeloma"
    assert events(seen(12.0, 7.0)) == ["mri_lesions"]


def test_a_single_focal_lesion_does_not_define_myeloma() -> None:
    assert imwg(seen(12.0)) == "smouldering"
    assert stage_imwg_mri(seen(12.0)).value == "single_lesion"


def test_a_second_lesion_just_below_5_mm_is_equivocal_and_asks_for_a_second_mri() -> None:
    imaging = seen(12.0, 4.6, u=0.5)
    assert stage_imwg_mri(imaging).value == "equivocal"
    result = stage_imwg_2014(imaging, KNOWN)
    assert (result.value, result.candidates) == (None, ("smouldering", "multiple_myeloma"))
    assert any("3 to 6 months" in warning for warning in result.warnings)


def test_two_lesions_without_clonal_cells_are_inconsistent_with_myeloma() -> None:
    result = stage_imwg_2014(seen(12.0, 9.0), replace(MGUS, plasma_cells_percent=8.0))
    assert result.value == "inconsistent"
    assert "biopsy" in result.warnings[0]


@pytest.mark.parametrize(
    ("percent", "value"), [(10.0, "smouldering"), (59.9, "smouldering"), (60.0, "multiple_myeloma")]
)
def test_sixty_per_cent_plasma_cells_define_myeloma(percent: float, value: str) -> None:
    assert imwg(seen(), plasma_cells_percent=percent) == value


@pytest.mark.parametrize(
    ("change", "event"),
    [
        ({"flc_ratio": 150.0, "flc_involved_mg_per_l": 90.0}, None),
        ({"flc_ratio": 100.0, "flc_involved_mg_per_l": 100.0}, "flc_ratio"),
        ({"flc_ratio": 99.9, "flc_involved_mg_per_l": 1000.0}, None),
        ({"calcium_mg_per_dl": 11.0}, None),
        ({"calcium_mg_per_dl": 11.1}, "calcium"),
        ({"calcium_mg_per_dl": 10.6, "calcium_upper_limit_mg_per_dl": 9.6}, None),
        ({"calcium_mg_per_dl": 10.7, "calcium_upper_limit_mg_per_dl": 9.6}, "calcium"),
        ({"creatinine_clearance_ml_per_min": 40.0}, None),
        ({"creatinine_clearance_ml_per_min": 39.9}, "renal"),
        ({"creatinine_mg_per_dl": 2.0}, None),
        ({"creatinine_mg_per_dl": 2.1}, "renal"),
        ({"haemoglobin_g_per_dl": 10.0}, "anaemia"),
        ({"haemoglobin_g_per_dl": 9.9, "haemoglobin_lower_limit_g_per_dl": 11.0}, "anaemia"),
        ({"haemoglobin_g_per_dl": 10.0, "haemoglobin_lower_limit_g_per_dl": 11.5}, None),
        ({"haemoglobin_g_per_dl": 10.0, "haemoglobin_lower_limit_g_per_dl": 13.0}, "anaemia"),
        ({"haemoglobin_g_per_dl": 10.6}, None),
        ({"haemoglobin_g_per_dl": 10.5}, None),
        ({"lytic_lesions_ct": 1}, "bone"),
        ({"lytic_lesions_ct": None, "bone_scale": 2}, "bone"),
    ],
)
def test_each_event_at_both_sides_of_its_limit(change: dict[str, Any], event: str | None) -> None:
    expected = [event] if event else []
    assert events(seen(), **change) == expected
    assert imwg(seen(), **change) == ("multiple_myeloma" if event else "smouldering")


def test_a_proven_plasmacytoma_with_clean_marrow_is_solitary() -> None:
    assert stage_imwg_2014(seen(30.0), PLASMACYTOMA).value == "solitary_plasmacytoma"


def test_a_few_clonal_cells_make_it_minimal_marrow_involvement() -> None:
    clinical = replace(PLASMACYTOMA, plasma_cells_percent=6.0)
    assert stage_imwg_2014(seen(30.0), clinical).value == "solitary_plasmacytoma_minimal_marrow"


def test_three_lesions_are_no_solitary_plasmacytoma() -> None:
    clinical = replace(PLASMACYTOMA, plasma_cells_percent=6.0)
    result = stage_imwg_2014(seen(30.0, 12.0, 9.0), clinical)
    assert (result.value, result.extras["events"]) == ("multiple_myeloma", ["mri_lesions"])


def test_a_plasmacytoma_with_ten_per_cent_cells_counts_as_myeloma_and_the_footnote_is_told() -> None:
    result = stage_imwg_2014(seen(30.0), replace(PLASMACYTOMA, plasma_cells_percent=10.0))
    assert (result.value, result.extras["events"]) == ("multiple_myeloma", [])
    assert "footnote" in result.warnings[-1]


def test_a_plasmacytoma_in_diffusely_infiltrated_marrow_fits_no_class() -> None:
    assert stage_imwg_2014(seen(30.0, grade="moderate"), PLASMACYTOMA).value == "inconsistent"


@pytest.mark.parametrize(("lesions", "value"), [(1, "solitary_plasmacytoma"), (2, "multiple_myeloma")])
def test_below_ten_per_cent_one_lytic_lesion_is_the_plasmacytoma_itself(lesions: int, value: str) -> None:
    assert stage_imwg_2014(seen(30.0), replace(PLASMACYTOMA, lytic_lesions_ct=lesions)).value == value


@pytest.mark.parametrize(
    ("changes", "value"),
    [
        ({}, "mgus"),
        ({"plasma_cells_percent": 9.9}, "mgus"),
        ({"plasma_cells_percent": 10.0}, "smouldering"),
        ({"m_protein_serum_g_per_dl": 2.9}, "mgus"),
        ({"m_protein_serum_g_per_dl": 3.0}, "smouldering"),
        ({"m_protein_urine_g_per_24h": 0.49}, "mgus"),
        ({"m_protein_urine_g_per_24h": 0.5}, "smouldering"),
        ({"m_protein_type": "IgM"}, "igm_mgus"),
        ({"m_protein_type": "IgM", "m_protein_serum_g_per_dl": 3.0}, "inconsistent"),
        ({"amyloidosis": True}, "inconsistent"),
        ({"lytic_lesions_ct": 1}, "inconsistent"),
        ({"calcium_mg_per_dl": 12.0}, "inconsistent"),
    ],
)
def test_below_ten_per_cent_the_m_protein_decides(changes: dict[str, Any], value: str) -> None:
    assert stage_imwg_2014(seen(), replace(MGUS, **changes)).value == value


@pytest.mark.parametrize(
    ("ratio", "involved", "chain", "value"),
    [
        (1.66, 30.0, "kappa", "light_chain_mgus"),
        (1.65, 30.0, "kappa", "none"),
        (3.0, 30.0, "lambda", "none"),
        (4.0, 30.0, "lambda", "light_chain_mgus"),
        (4.0, 26.3, "lambda", "none"),
        (4.0, 30.0, None, "light_chain_mgus"),
        (3.0, 30.0, None, None),
    ],
)
def test_light_chain_mgus_needs_an_abnormal_ratio_and_an_increased_chain(
    ratio: float, involved: float, chain: Any, value: str | None
) -> None:
    clinical = replace(
        MGUS,
        m_protein_type="none",
        m_protein_serum_g_per_dl=0.0,
        m_protein_urine_g_per_24h=0.0,
        flc_ratio=ratio,
        flc_involved_mg_per_l=involved,
        flc_involved_chain=chain,
    )
    assert stage_imwg_2014(seen(), clinical).value == value


def test_amyloidosis_excludes_smouldering() -> None:
    assert imwg(seen(), amyloidosis=True) == "inconsistent"


def test_a_normal_mri_never_says_that_there_is_no_myeloma() -> None:
    result = stage_imwg_mri(seen())
    assert result.value == "negative"
    assert "does not exclude myeloma" in result.warnings[0]
    assert stage_imwg_2014(seen(), ClinicalInput()).value is None


def test_mri_lesions_are_not_lytic_lesions() -> None:
    assert stage_imwg_2014(seen(30.0), KNOWN).extras["event_states"]["bone"] == "no"
    assert stage_durie_salmon(KNOWN).value == "I"


# ---- ISS, R-ISS, R2-ISS ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("b2m", "albumin", "stage"),
    [
        (3.4, 3.5, "I"),
        (3.4, 3.4, "II"),
        (5.4, 4.0, "II"),
        (5.5, 4.0, "III"),
        (3.5, 4.0, "II"),
        (5.5, None, "III"),
        (3.5, None, "II"),
        (3.4, None, None),
        (None, 3.4, None),
    ],
)
def test_iss(b2m: float | None, albumin: float | None, stage: str | None) -> None:
    assert stage_iss(ClinicalInput(beta2_microglobulin_mg_per_l=b2m, albumin_g_per_dl=albumin)).value == stage


def test_iss_without_microglobulin_keeps_what_low_albumin_allows() -> None:
    assert stage_iss(ClinicalInput(albumin_g_per_dl=3.0)).candidates == ("II", "III")


@pytest.mark.parametrize(
    ("changes", "stage"),
    [
        ({}, "I"),
        ({"ldh_u_per_l": 250.0}, "I"),
        ({"ldh_u_per_l": 251.0}, "II"),
        ({"fish": replace(NO_FISH, t14_16=True)}, "II"),
        ({"fish": replace(NO_FISH, gain_1q=True)}, "I"),
        ({"beta2_microglobulin_mg_per_l": 6.0}, "II"),
        ({"beta2_microglobulin_mg_per_l": 6.0, "ldh_u_per_l": 300.0}, "III"),
        ({"beta2_microglobulin_mg_per_l": 6.0, "fish": Fish(del17p=True)}, "III"),
        ({"fish": Fish()}, None),
        ({"fish": Fish(), "ldh_u_per_l": 300.0}, "II"),
        ({"fish": Fish(), "beta2_microglobulin_mg_per_l": 4.0}, "II"),
        ({"fish": Fish(), "beta2_microglobulin_mg_per_l": 6.0, "ldh_u_per_l": 300.0}, "III"),
        ({"fish": Fish(), "beta2_microglobulin_mg_per_l": 6.0}, None),
    ],
)
def test_r_iss(changes: dict[str, Any], stage: str | None) -> None:
    assert stage_r_iss(replace(KNOWN, **changes)).value == stage


@pytest.mark.parametrize(
    ("changes", "points", "group"),
    [
        ({}, 0.0, "low"),
        ({"fish": replace(NO_FISH, gain_1q=True)}, 0.5, "low_intermediate"),
        ({"fish": replace(NO_FISH, del17p=True)}, 1.0, "low_intermediate"),
        ({"beta2_microglobulin_mg_per_l": 6.0}, 1.5, "intermediate_high"),
        (
            {
                "beta2_microglobulin_mg_per_l": 4.0,
                "ldh_u_per_l": 300.0,
                "fish": replace(NO_FISH, gain_1q=True),
            },
            2.5,
            "intermediate_high",
        ),
        (
            {
                "beta2_microglobulin_mg_per_l": 6.0,
                "ldh_u_per_l": 300.0,
                "fish": replace(NO_FISH, gain_1q=True),
            },
            3.0,
            "high",
        ),
        ({"fish": Fish(t14_16=True, del17p=False, t4_14=False, gain_1q=False)}, 0.0, "low"),
    ],
)
def test_r2_iss(changes: dict[str, Any], points: float, group: str) -> None:
    result = stage_r2_iss(replace(KNOWN, **changes))
    assert (result.extras["points"], result.value) == (points, group)


def test_r2_iss_with_unknown_1q_gives_the_range_of_points() -> None:
    result = stage_r2_iss(replace(KNOWN, fish=replace(NO_FISH, gain_1q=None)))
    assert (result.value, result.extras["points"], result.extras["points_range"]) == (None, None, [0.0, 0.5])
    assert result.missing == ("fish.gain_1q",)


# ---- Durie-Salmon ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "stage"),
    [
        ({}, "I"),
        ({"haemoglobin_g_per_dl": 9.0}, "II"),
        ({"haemoglobin_g_per_dl": 10.0}, "II"),
        ({"haemoglobin_g_per_dl": 10.1}, "I"),
        ({"haemoglobin_g_per_dl": 8.5}, "II"),
        ({"haemoglobin_g_per_dl": 8.4}, "III"),
        ({"calcium_mg_per_dl": 12.0}, "I"),
        ({"calcium_mg_per_dl": 12.1}, "III"),
        ({"m_protein_serum_g_per_dl": 4.9}, "I"),
        ({"m_protein_serum_g_per_dl": 5.0}, "II"),
        ({"m_protein_serum_g_per_dl": 7.0}, "II"),
        ({"m_protein_serum_g_per_dl": 7.1}, "III"),
        ({"m_protein_type": "IgA", "m_protein_serum_g_per_dl": 2.9}, "I"),
        ({"m_protein_type": "IgA", "m_protein_serum_g_per_dl": 3.0}, "II"),
        ({"m_protein_type": "IgA", "m_protein_serum_g_per_dl": 5.1}, "III"),
        ({"m_protein_type": "IgD", "m_protein_serum_g_per_dl": 6.0}, "I"),
        ({"m_protein_urine_g_per_24h": 4.0}, "II"),
        ({"m_protein_urine_g_per_24h": 12.0}, "II"),
        ({"m_protein_urine_g_per_24h": 12.1}, "III"),
        ({"bone_scale": 1}, "II"),
        ({"bone_scale": 2, "lytic_lesions_ct": 3}, "II"),
        ({"bone_scale": 2, "lytic_lesions_ct": 1, "biopsy_proven_plasmacytoma": True}, "I"),
        ({"bone_scale": 3, "lytic_lesions_ct": 3}, "III"),
    ],
)
def test_durie_salmon(changes: dict[str, Any], stage: str) -> None:
    assert stage_durie_salmon(replace(KNOWN, **changes)).value == stage


@pytest.mark.parametrize(("creatinine", "suffix"), [(1.99, "A"), (2.0, "B"), (None, None)])
def test_durie_salmon_suffix(creatinine: float | None, suffix: str | None) -> None:
    result = stage_durie_salmon(replace(KNOWN, creatinine_mg_per_dl=creatinine))
    assert (result.value, result.extras["suffix"]) == ("I", suffix)


def test_one_item_of_stage_three_decides_though_all_else_is_unknown() -> None:
    assert stage_durie_salmon(ClinicalInput(haemoglobin_g_per_dl=8.4)).value == "III"
    assert stage_durie_salmon(ClinicalInput(haemoglobin_g_per_dl=9.0)).candidates == ("II", "III")


# ---- smouldering -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cells", "protein", "ratio", "group"),
    [(20, 2.0, 20, "low"), (21, 2.0, 20, "intermediate"), (21, 2.1, 20, "high"), (21, 2.1, 21, "high")],
)
def test_20_2_20_counts_what_is_strictly_above(
    cells: float, protein: float, ratio: float, group: str
) -> None:
    clinical = ClinicalInput(plasma_cells_percent=cells, m_protein_serum_g_per_dl=protein, flc_ratio=ratio)
    assert stage_smm_20_2_20(clinical).value == group


def test_cytogenetics_are_a_fourth_factor_with_its_own_groups() -> None:
    clinical = ClinicalInput(
        plasma_cells_percent=21, m_protein_serum_g_per_dl=2.1, flc_ratio=20, fish=replace(NO_FISH, t4_14=True)
    )
    extra = stage_smm_20_2_20(clinical).extras["with_cytogenetics"]
    assert (extra["value"], extra["two_year_risk_percent"]) == ("high", 63)
    unknown = stage_smm_20_2_20(replace(clinical, fish=Fish())).extras["with_cytogenetics"]
    assert (unknown["value"], unknown["candidates"]) == (None, ["intermediate", "high"])


def test_imwg_points_of_the_worked_example() -> None:
    clinical = ClinicalInput(
        flc_ratio=30, m_protein_serum_g_per_dl=2.0, plasma_cells_percent=25, fish=Fish(del17p=True)
    )
    result = stage_smm_imwg_points(clinical)
    assert (result.extras["points"], result.value, result.extras["two_year_risk_percent"]) == (
        11,
        "intermediate",
        51.0,
    )


@pytest.mark.parametrize(
    ("ratio", "protein", "cells", "points"),
    [
        (10, 1.5, 15, 0),
        (10.1, 1.5, 15, 2),
        (25, 1.5, 15, 2),
        (25.1, 1.5, 15, 3),
        (40, 1.5, 15, 3),
        (40.1, 1.5, 15, 5),
        (10, 1.6, 15, 3),
        (10, 3.0, 15, 3),
        (10, 3.1, 15, 4),
        (10, 1.5, 15.1, 2),
        (10, 1.5, 20, 2),
        (10, 1.5, 20.1, 3),
        (10, 1.5, 30, 3),
        (10, 1.5, 30.1, 5),
        (10, 1.5, 40, 5),
        (10, 1.5, 40.1, 6),
    ],
)
def test_imwg_points_at_both_sides_of_every_band(
    ratio: float, protein: float, cells: float, points: int
) -> None:
    clinical = ClinicalInput(
        flc_ratio=ratio, m_protein_serum_g_per_dl=protein, plasma_cells_percent=cells, fish=NO_FISH
    )
    assert stage_smm_imwg_points(clinical).extras["points"] == points


def test_risk_of_smouldering_is_not_given_for_myeloma() -> None:
    results = stage_all(seen(12.0, 9.0), KNOWN)
    assert results["smm_20_2_20"].status == results["smm_imwg_points"].status == "not_applicable"
    assert results["smm_20_2_20"].value is None
    assert stage_all(seen(12.0), KNOWN)["smm_20_2_20"].value == "low"


# ---- prognostic cut-offs -----------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "value"), [(7, False), (8, True)])
def test_more_than_seven_lesions(number: int, value: bool) -> None:
    assert stage_walker(seen(*[10.0] * number)).value is value


@pytest.mark.parametrize(("side_mm", "value"), [(23.0, True), (22.0, False)])
def test_three_lesions_are_large_above_5_square_cm(side_mm: float, value: bool) -> None:
    lesion = FocalLesion(diameter_mm=side_mm, perpendicular_diameter_mm=side_mm)
    assert stage_rasche(ImagingFindings(lesions=(lesion,) * 3)).value is value
    assert stage_rasche(ImagingFindings(lesions=(lesion,) * 2)).value is False


def test_exactly_5_square_cm_is_not_large() -> None:
    lesion = FocalLesion(diameter_mm=25.0, perpendicular_diameter_mm=20.0)
    assert stage_rasche(ImagingFindings(lesions=(lesion,) * 3)).value is False


def test_without_a_second_diameter_only_a_short_lesion_is_surely_not_large() -> None:
    assert stage_rasche(ImagingFindings(lesions=(FocalLesion(diameter_mm=22.0),) * 3)).value is False
    unknown = stage_rasche(ImagingFindings(lesions=(FocalLesion(diameter_mm=30.0),) * 3))
    assert (unknown.value, unknown.missing) == (None, ("perpendicular_diameter_mm",))


@pytest.mark.parametrize(("number", "value"), [(0, "A"), (1, "B"), (9, "B"), (10, "C"), (11, "C")])
def test_vertebral_pattern_by_number(number: int, value: str) -> None:
    assert stage_lecouvet(seen(*[10.0] * number)).value == value


def test_exactly_ten_vertebral_lesions_are_placed_visibly() -> None:
    ten = seen(*[10.0] * 10)
    assert any("exactly 10" in warning for warning in stage_lecouvet(ten).warnings)
    assert stage_lecouvet(ten, at_ten="B").value == "B"
    assert not any("exactly 10" in warning for warning in stage_lecouvet(seen(*[10.0] * 11)).warnings)


def test_diffuse_vertebral_marrow_is_pattern_d_and_mild_is_b_at_least() -> None:
    assert stage_lecouvet(seen(grade="severe")).value == "D"
    assert stage_lecouvet(seen(grade="moderate")).value == "D"
    assert stage_lecouvet(seen(grade="mild")).value == "B"


def test_lesions_outside_the_spine_make_no_vertebral_pattern() -> None:
    pelvis = FocalLesion(diameter_mm=20.0, region=Region.SACRUM_PELVIS)
    assert stage_lecouvet(ImagingFindings(lesions=(pelvis,) * 12, diffuse_grade="none")).value == "A"
    somewhere = replace(pelvis, region=None)
    result = stage_lecouvet(ImagingFindings(lesions=(somewhere,) * 12, diffuse_grade="none"))
    assert (result.value, result.candidates) == (None, ("A", "B", "C"))


# ---- descriptors -------------------------------------------------------------------------------------


def test_my_rads_gives_no_score_but_says_what_it_saw() -> None:
    result = stage_my_rads(seen(12.0, 30.0))
    assert (result.status, result.value, result.extras["pattern"]) == ("not_applicable", None, "focal")
    assert result.extras["index_diameters_mm"] == [30.0, 12.0]
    assert result.extras["regions"]["lumbar_spine"] == {"focal_lesions": "2-4", "largest_mm": 30.0}
    assert "could not be verified" in result.warnings[0]


@pytest.mark.parametrize(
    ("number", "grade", "pattern"),
    [
        (0, "none", "normal"),
        (1, "none", "focal"),
        (0, "severe", "diffuse"),
        (1, "moderate", "focal_on_diffuse"),
        (0, "mild", "micronodular"),
        (0, None, None),
    ],
)
def test_my_rads_pattern(number: int, grade: Any, pattern: str | None) -> None:
    assert stage_my_rads(seen(*[10.0] * number, grade=grade)).extras["pattern"] == pattern


@pytest.mark.parametrize(
    ("primary", "words"), [("prostate", "two exams"), ("lung", "another"), (None, "no primary")]
)
def test_met_rads_says_why_it_does_not_apply(primary: str | None, words: str) -> None:
    result = stage_met_rads_p(seen(12.0), ClinicalInput(primary_cancer=primary))
    assert result.status == "not_applicable"
    assert words in result.warnings[0]


# ---- both unit systems -------------------------------------------------------------------------------


def test_both_unit_systems_give_the_same_stages() -> None:
    conventional = {
        "haemoglobin_g_per_dl": 8.4,
        "haemoglobin_lower_limit_g_per_dl": 12.5,
        "calcium_mg_per_dl": 11.0,
        "calcium_upper_limit_mg_per_dl": 10.4,
        "creatinine_mg_per_dl": 2.0,
        "albumin_g_per_dl": 3.5,
        "m_protein_serum_g_per_dl": 5.0,
    }
    si = {
        "haemoglobin_g_per_l": 84,
        "haemoglobin_lower_limit_g_per_l": 125,
        "calcium_mmol_per_l": 2.75,
        "calcium_upper_limit_mmol_per_l": 2.6,
        "creatinine_umol_per_l": 177,
        "albumin_g_per_l": 35,
        "m_protein_serum_g_per_l": 50,
    }
    shared = {"beta2_microglobulin_mg_per_l": 3.4, "m_protein_type": "IgG", "plasma_cells_percent": 30}
    one, other = (clinical_from_mapping(units | shared) for units in (conventional, si))
    assert one == other
    assert [result.to_json() for result in stage_all(seen(9.0), one).values()] == [
        result.to_json() for result in stage_all(seen(9.0), other).values()
    ]
