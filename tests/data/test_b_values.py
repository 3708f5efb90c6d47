"""Where each vendor writes its b-values."""

from __future__ import annotations

from typing import Any

import pytest
from pydicom.dataset import Dataset

from marrowmap.data.b_values import b_value_in_text, find_b_value, find_directionality, snap


def header(vendor: str, **tags: Any) -> Dataset:
    dataset = Dataset()
    dataset.Manufacturer = vendor
    for keyword, value in tags.items():
        setattr(dataset, keyword, value)
    return dataset


def with_private(dataset: Dataset, group: int, creator: str, element: int, vr: str, value: Any) -> Dataset:
    dataset.private_block(group, creator, create=True).add_new(element, vr, value)
    return dataset


def b_of(dataset: Dataset) -> float | None:
    found = find_b_value(dataset)
    return None if found is None else found.s_per_mm2


def test_siemens_writes_it_in_a_private_tag() -> None:
    assert b_of(with_private(header("SIEMENS"), 0x19, "SIEMENS MR HEADER", 0x0C, "IS", 900)) == 900


def test_siemens_private_tag_left_as_bytes_by_an_archive() -> None:
    assert b_of(with_private(header("SIEMENS"), 0x19, "SIEMENS MR HEADER", 0x0C, "UN", b"50 ")) == 50


def test_the_creator_decides_not_the_block() -> None:
    dataset = with_private(header("SIEMENS"), 0x19, "SOMEBODY ELSE", 0x0C, "IS", 123)
    assert b_of(with_private(dataset, 0x19, "SIEMENS MR HEADER", 0x0C, "IS", 800)) == 800
    assert b_of(with_private(header("SIEMENS"), 0x19, "SOMEBODY ELSE", 0x0C, "IS", 123)) is None


@pytest.mark.parametrize(("name", "b"), [("*ep_b900t", 900), ("ep_b50#1", 50), ("ep_b0", 0)])
def test_siemens_sequence_name_is_the_last_resort(name: str, b: int) -> None:
    assert b_of(header("SIEMENS", SequenceName=name)) == b


@pytest.mark.parametrize("name", ["*tse2d1_25", "*h2d1_205", "*ep_b50_800", "epfid2d1_64"])
def test_other_sequence_names_say_nothing(name: str) -> None:
    assert b_of(header("SIEMENS", SequenceName=name)) is None


def test_siemens_csa_header_holds_it_too() -> None:
    element = b"B_value".ljust(64, b"\0") + (1).to_bytes(4, "little") + b"IS\0\0" + bytes(4)
    element += (6).to_bytes(4, "little") + (77).to_bytes(4, "little")
    item = (4).to_bytes(4, "little") * 4 + b"1000"
    csa = b"SV10\4\3\2\1" + bytes(8) + element + item
    assert b_of(with_private(header("SIEMENS"), 0x29, "SIEMENS CSA HEADER", 0x10, "OB", csa)) == 1000


def test_ge_adds_a_thousand_million() -> None:
    value = [1_000_000_750, 8, 0, 0]
    assert b_of(with_private(header("GE MEDICAL SYSTEMS"), 0x43, "GEMS_PARM_01", 0x39, "IS", value)) == 750


def test_ge_after_an_anonymiser_took_the_creator() -> None:
    dataset = header("GE MEDICAL SYSTEMS")
    dataset.add_new((0x0043, 0x1039), "IS", [1000, 8, 0, 0])
    assert b_of(dataset) == 1000


def test_philips_codes_repeats_of_zero_as_thousandths() -> None:
    assert b_of(header("Philips", DiffusionBValue=0.002)) == 0


def test_uih_user_b_goes_before_the_actual_one() -> None:
    dataset = with_private(header("UIH"), 0x65, "Image Private Header", 0x09, "FD", 929.75)
    assert b_of(with_private(dataset, 0x65, "Image Private Header", 0x0A, "FD", 1000.0)) == 1000


def test_uih_actual_b_is_snapped_where_it_is_all_there_is() -> None:
    dataset = with_private(header("UIH"), 0x65, "Image Private Header", 0x09, "FD", 929.75)
    assert b_of(dataset) == 930


def test_no_tag_is_no_b_value() -> None:
    assert find_b_value(header("Canon")) is None


@pytest.mark.parametrize("vendor", ["TOSHIBA_MEC", "Canon Medical Systems", "CANON_MEC"])
def test_canon_writes_it_into_the_image_comment(vendor: str) -> None:
    dataset = header(vendor, ImageComments="b=1500(0.445,0.000,0.895)")
    assert b_of(dataset) == 1500
    assert find_directionality(dataset) == "directional"
    assert b_of(header(vendor, ImageComments="b=1500")) == 1500
    assert find_directionality(header(vendor, ImageComments="b=1500")) == ""


def test_canon_public_tag_goes_before_the_comment() -> None:
    dataset = header("CANON_MEC", DiffusionBValue=1000.0, ImageComments="b=1500(0.445,0.000,0.895)")
    assert b_of(dataset) == 1000


def test_a_comment_of_another_vendor_is_no_b_value() -> None:
    assert b_of(header("SIEMENS", ImageComments="b=1500(0.445,0.000,0.895)")) is None


@pytest.mark.parametrize("vendor", ["Hitachi Medical Corporation", "FUJIFILM Healthcare Corporation"])
def test_hitachi_uses_the_public_tag(vendor: str) -> None:
    assert b_of(header(vendor, DiffusionBValue=800.0)) == 800
    assert b_of(header(vendor)) is None


@pytest.mark.parametrize(("given", "snapped"), [(4.9, 0), (5, 5), (52.2, 50), (273, 273), (798.6, 800)])
def test_b_values_are_snapped_to_what_a_protocol_says(given: float, snapped: float) -> None:
    assert snap(given) == snapped


@pytest.mark.parametrize(
    ("text", "b"),
    [
        ("dwi tra b900", 900),
        ("DWI b=50", 50),
        ("diff b 800 tra", 800),
        ("dwi b50 b900", None),
        ("t1 tse", None),
    ],
)
def test_a_description_counts_with_exactly_one_b(text: str, b: float | None) -> None:
    assert b_value_in_text(text) == b


def test_philips_letter_tells_trace_from_direction() -> None:
    trace = with_private(header("Philips"), 0x2001, "Philips Imaging DD 001", 0x04, "CS", "I")
    single = with_private(header("Philips"), 0x2001, "Philips Imaging DD 001", 0x04, "CS", "M")
    assert (find_directionality(trace), find_directionality(single)) == ("trace", "directional")


def test_enhanced_frames_carry_it_in_their_diffusion_sequence() -> None:
    item = Dataset()
    item.DiffusionDirectionality = "ISOTROPIC"
    item.DiffusionBValue = 800.0
    frame = Dataset()
    frame.MRDiffusionSequence = [item]
    found = find_b_value(header("Philips"), frame)
    assert found is not None
    assert found.s_per_mm2 == 800
    assert find_directionality(header("Philips"), frame) == "trace"


def test_an_enhanced_frame_without_direction_is_b_zero() -> None:
    item = Dataset()
    item.DiffusionDirectionality = "NONE"
    frame = Dataset()
    frame.MRDiffusionSequence = [item]
    found = find_b_value(header("SIEMENS"), frame)
    assert found is not None
    assert found.s_per_mm2 == 0
