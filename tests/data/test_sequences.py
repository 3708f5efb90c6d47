"""What a series shows, from its headers."""

from __future__ import annotations

from typing import Any

import pytest

from marrowmap.data.exam import Sequence
from marrowmap.data.facts import Facts, plain_text
from marrowmap.data.sequences import decide_role


def facts(text: str = "", *image_type: str, **known: Any) -> Facts:
    known.setdefault("slices", 40)
    return Facts(text=plain_text(text), image_type=frozenset(image_type), **known)


TSE_T1 = {"scanning": frozenset({"SE"}), "repetition_time_ms": 600.0, "echo_time_ms": 10.0}
TSE_T2 = {"scanning": frozenset({"SE"}), "repetition_time_ms": 4000.0, "echo_time_ms": 90.0}
GRE_T1 = {"scanning": frozenset({"GR"}), "repetition_time_ms": 6.0, "echo_time_ms": 2.4}
EPI = {"scanning": frozenset({"EP", "SE"}), "repetition_time_ms": 6000.0, "echo_time_ms": 60.0}


@pytest.mark.parametrize(
    ("given", "sequence"),
    [
        (facts("t1_tse_cor", **TSE_T1), Sequence.T1),
        (facts("whatever", **TSE_T1), Sequence.T1),
        (facts("t2_tse_sag", **TSE_T2), Sequence.T2),
        (facts("t2_tse_fs_sag", **TSE_T2), Sequence.STIR),
        (facts("sag", **TSE_T2, options=frozenset({"FS"})), Sequence.STIR),
        (facts("cor", inversion_time_ms=160.0, **(TSE_T2 | {"scanning": frozenset({"IR"})})), Sequence.STIR),
        (facts("t2_tirm_cor_wb", **TSE_T2), Sequence.STIR),
        (facts("vibe_cor", **GRE_T1), Sequence.T1),
        (facts("T1 TSE nach KM", **TSE_T1), Sequence.T1_CONTRAST),
        (facts("t1 cor", has_contrast=True, **TSE_T1), Sequence.T1_CONTRAST),
        (facts("T1 axial injecté", **TSE_T1), Sequence.T1_CONTRAST),
        (facts("t1 con contraste", **TSE_T1), Sequence.T1_CONTRAST),
        (facts("dx", "DIXON", "WATER", **GRE_T1), Sequence.DIXON_WATER),
        (facts("dx", "DIXON", "FAT", **GRE_T1), Sequence.DIXON_FAT),
        (facts("dx", "DIXON", "IN_PHASE", **GRE_T1), Sequence.DIXON_IN),
        (facts("dx", "DIXON", "OPP_PHASE", **GRE_T1), Sequence.DIXON_OUT),
        (facts("dx", "DERIVED", "FAT_FRACTION", **GRE_T1), Sequence.FAT_FRACTION),
        (facts("WATER: Cor LAVA-Flex", **GRE_T1), Sequence.DIXON_WATER),
        (facts("InPhase: Cor LAVA-Flex", **GRE_T1), Sequence.DIXON_IN),
        (facts("mDIXON", dixon_kind="F", **GRE_T1), Sequence.DIXON_FAT),
        (facts("t1 dixon graisse", **GRE_T1), Sequence.DIXON_FAT),
        (facts("t1 dixon Wasser", **GRE_T1), Sequence.DIXON_WATER),
        (facts("t1 dixon acqua", **GRE_T1), Sequence.DIXON_WATER),
        (facts("t1 dixon vet", **GRE_T1), Sequence.DIXON_FAT),
        (facts("t1 dixon fase opuesta", **GRE_T1), Sequence.DIXON_OUT),
        (facts("t2 dixon", "WATER", **TSE_T2), Sequence.STIR),
        (facts("t2 dixon", "IN_PHASE", **TSE_T2), Sequence.T2),
        (facts("ep2d_diff_ADC", "DIFFUSION", "ADC", b_value_s_per_mm2=800.0, **EPI), Sequence.ADC),
        (facts("ADC (10^-6 mm2/s)", "DERIVED", **EPI), Sequence.ADC),
        (facts("STIR cor"), Sequence.STIR),
        (facts("T1 cor"), Sequence.T1),
    ],
)
def test_sequence_is_recognised(given: Facts, sequence: Sequence) -> None:
    assert decide_role(given).sequence is sequence


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (facts("t2_localizer", **TSE_T2), "a localizer"),
        (facts("Repérage 3 plans", **GRE_T1), "a localizer"),
        (facts("Lokalisator", **GRE_T1), "a localizer"),
        (facts("survey", **GRE_T1), "a localizer"),
        (facts("t1", "LOCALIZER", **TSE_T1), "a localizer"),
        (facts("haste", orientations=3, **TSE_T2), "a localizer: 3 orientations in one series"),
        (facts("t1", component="phase", **TSE_T1), "a phase image"),
        (facts("DWI MIP inverted", **EPI), "a projection or reformat (MIP, MPR)"),
        (facts("dwi", "MIP", **EPI), "a projection or reformat (MIP, MPR)"),
        (
            facts("ep2d_diffCALC_BVAL", b_value_s_per_mm2=1600.0, is_diffusion_series=True, **EPI),
            "a calculated b-value, not a measured one",
        ),
        (
            facts("Synthetic DWI b1500", b_value_s_per_mm2=1500.0, **EPI),
            "a calculated b-value, not a measured one",
        ),
        (facts("eADC", "DERIVED", **EPI), "an exponential ADC image"),
        (facts("FA", "DIFFUSION", "FA", **EPI), "a derived map (FA)"),
        (facts("t1 cor", **(TSE_T1 | {"slices": 1})), "only 1 slice"),
        (facts("fmri", b_value_s_per_mm2=0.0, **EPI), "echo-planar without a b-value"),
        (facts("t2 flair", inversion_time_ms=2500.0, **TSE_T2), "a FLAIR image"),
        (facts("trufi", **GRE_T1), "a balanced steady-state image"),
        (facts("t2 dixon", "FAT", **TSE_T2), "fat image of a T2-weighted Dixon"),
        (
            facts("pd", **(TSE_T2 | {"echo_time_ms": 30.0})),
            "neither tags nor the description say what it shows",
        ),
        (
            facts("t1_fs", **TSE_T1),
            "T1-weighted with fat suppression: marrow fat cannot be seen (TR 600 ms, TE 10.0 ms)",
        ),
    ],
)
def test_what_is_left_out_says_why(given: Facts, reason: str) -> None:
    role = decide_role(given)
    assert not role.is_used
    assert role.reason == reason


def test_diffusion_is_known_by_its_b_value() -> None:
    role = decide_role(facts("dwi", b_value_s_per_mm2=900.0, b_source="tag", is_diffusion_series=True, **EPI))
    assert role.b_value_s_per_mm2 == 900
    assert role.reason == "b = 900 s/mm2 (tag)"


def test_diffusion_with_its_b_in_words_only() -> None:
    assert decide_role(facts("DWIBS b800", **EPI)).b_value_s_per_mm2 == 800


def test_diffusion_without_any_b_is_left_out() -> None:
    role = decide_role(facts("trace", is_diffusion_series=True, **EPI))
    assert role.reason == "diffusion without a b-value in any tag or in its description"


def test_zero_everywhere_on_a_t1_is_no_diffusion() -> None:
    assert decide_role(facts("t1", b_value_s_per_mm2=0.0, **TSE_T1)).sequence is Sequence.T1


@pytest.mark.parametrize(("te", "sequence"), [(2.4, Sequence.DIXON_OUT), (4.6, Sequence.DIXON_IN)])
def test_dual_echo_is_in_or_out_of_phase_by_its_echo_time(te: float, sequence: Sequence) -> None:
    given = facts("t1 fl2d opp in", field_strength_t=1.5, echoes=2, **(GRE_T1 | {"echo_time_ms": te}))
    assert decide_role(given).sequence is sequence


LANGUAGES = {
    "a localizer": [
        *("localizer", "scout", "survey", "repérage", "plan de repérage", "Lokalizer", "Übersicht"),
        *("localizador", "centraje", "localizzatore", "centratura", "overzicht", "lokalisatie"),
    ],
    "stir": [
        *("T2 FatSat", "T2 fettgesättigt", "T2 Fettsättigung", "T2 avec saturation de graisse"),
        *("T2 sat graisse", "T2 saturación grasa", "T2 supresión de la grasa", "T2 sat grasso"),
        *("T2 soppressione del grasso", "T2 vetsuppressie", "T2 vetonderdrukking", "T2 vetverzadiging"),
    ],
    "t1_contrast": [
        *("T1 post Gd", "T1 nach KM", "T1 mit Kontrastmittel", "T1 après injection", "T1 gado"),
        *(
            "T1 con contraste",
            "T1 post contraste",
            "T1 dopo mdc",
            "T1 con mezzo di contrasto",
            "T1 na contrast",
        ),
    ],
    "t1": [
        *("T1 without contrast", "T1 pre contrast", "T1 ohne KM", "T1 vor KM", "T1 sans injection"),
        *("T1 avant injection de gadolinium", "T1 sin contraste", "T1 senza mdc", "T1 zonder contrast"),
    ],
    "dixon_out": [
        *("Dixon out of phase", "Dixon Gegenphase", "Dixon opposition de phase", "Dixon fase opuesta"),
        *("Dixon fuori fase", "Dixon fase opposta", "Dixon uit fase", "Dixon in tegenfase"),
    ],
    "dixon_fat": [
        *("Dixon fat", "Dixon Fett", "Dixon graisse", "Dixon grasa", "Dixon grasso", "Dixon vet"),
    ],
    "adc": [
        *("ADC map", "ADC-Karte", "carte ADC", "mapa ADC", "mappa ADC", "ADC kaart"),
        *("coefficient de diffusion apparent", "coeficiente de difusión aparente"),
    ],
    "900": [
        *("DWI b900", "Diffusion b=900", "diffusion axiale b 900", "difusión b900"),
        *("diffusione b900", "diffusie b 900", "Diffusionsgewichtet b=900"),
    ],
    "a calculated b-value, not a measured one": [
        *("DWI calc b1400", "b1400 berechnet", "b1400 calculé", "b1400 calculada", "b1400 calcolata"),
        "b1400 berekend",
    ],
}


@pytest.mark.parametrize(("meant", "text"), [(m, t) for m, texts in LANGUAGES.items() for t in texts])
def test_descriptions_in_six_languages_mean_the_same(meant: str, text: str) -> None:
    timing = {"stir": TSE_T2, "dixon_out": GRE_T1, "dixon_fat": GRE_T1, "a localizer": GRE_T1, "900": EPI}
    role = decide_role(facts(text, **timing.get(meant, {})))
    b_value = role.b_value_s_per_mm2
    found = role.sequence or (f"{b_value:g}" if b_value is not None else role.reason)
    assert found == meant
