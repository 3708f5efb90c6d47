"""The PDF says what the page says, on every page for research only."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfReader

from marrowmap.data.errors import ReportFileError
from marrowmap.inference.report.pdf import report_pdf, write_pdf
from marrowmap.inference.report.pictures import ReportPictures
from marrowmap.inference.report.words_catalog import words_of

Report = dict[str, Any]


def pages_of(pdf: bytes) -> list[str]:
    """The text of every page, line breaks as blanks."""
    return [" ".join(page.extract_text().split()) for page in PdfReader(io.BytesIO(pdf)).pages]


def test_it_names_lesions_figures_rules_and_weights(report: Report, pictures: ReportPictures) -> None:
    text = " ".join(pages_of(report_pdf(report, pictures.mip_png)))
    assert "4 marrow lesions were found" in text
    assert "Lesion 1 reaches the spinal canal: possible cord compression." in text
    assert "48.7 ml" in text
    assert "40.0 ± 2.5" in text
    assert "Durie-Salmon PLUS: stage I (imaging part only; 0: 0 %, I: 84 %" in text
    assert "IMWG myeloma-defining event on MRI: positive" in text
    assert "sha256 " + "0" * 64 in text
    assert "simulated" in text


def test_every_page_is_for_research_only_and_unsigned(report: Report, pictures: ReportPictures) -> None:
    pages = pages_of(report_pdf(report, pictures.mip_png))
    assert len(pages) >= 2
    for number, page in enumerate(pages, start=1):
        assert "Research use only. Not a medical device." in page
        assert "Preliminary: no reader has signed." in page
        assert str(number) in page.split()


def test_a_signature_stands_on_every_page(report: Report, pictures: ReportPictures) -> None:
    report["revision"] = {"signed_by": {"name": "Reader^Rita", "organization": "Clinic"}}
    for page in pages_of(report_pdf(report, pictures.mip_png)):
        assert "Signed by Reader, Rita, Clinic." in page
        assert "Preliminary" not in page


def test_ninety_lesions_flow_over_pages_with_the_head_on_each(
    report: Report, pictures: ReportPictures
) -> None:
    report["lesions"] = [report["lesions"][0] | {"id": number} for number in range(1, 91)]
    pages = pages_of(report_pdf(report, pictures.mip_png))
    with_table = [page for page in pages if "Longest (mm)" in page]
    assert len(with_table) >= 2
    assert " 90 lumbar spine" in " ".join(with_table)


def test_nothing_found_never_excludes_myeloma(clean_report: Report, pictures: ReportPictures) -> None:
    text = " ".join(pages_of(report_pdf(clean_report, pictures.mip_png)))
    assert "No marrow lesion was found on this exam; this does not exclude myeloma." in text


def test_markup_in_a_value_is_text(report: Report, pictures: ReportPictures) -> None:
    report["study"]["warnings"] = [{"code": "x", "text": "a gap < 4 mm & <b>more</b>"}]
    text = " ".join(pages_of(report_pdf(report, pictures.mip_png)))
    assert "a gap < 4 mm & <b>more</b>" in text


@pytest.mark.parametrize(
    ("language", "words"),
    [("de", "Ganzkörper-MRT: Befunde des Knochenmarks"), ("fr", "Séquences"), ("en", "Whole-body MRI")],
)
def test_it_speaks_three_languages(
    report: Report, pictures: ReportPictures, language: str, words: str
) -> None:
    pdf = report_pdf(report, pictures.mip_png, words_of(language))
    assert words in " ".join(pages_of(pdf))
    assert PdfReader(io.BytesIO(pdf)).root_object["/Lang"] == language


def test_every_font_that_draws_text_is_embedded(report: Report, pictures: ReportPictures) -> None:
    fonts: list[Any] = []

    def note(text: str, _cm: object, _tm: object, font: Any, _size: float) -> None:
        if text.strip():
            fonts.append(font)

    for page in PdfReader(io.BytesIO(report_pdf(report, pictures.mip_png))).pages:
        page.extract_text(visitor_text=note)
    assert {font["/BaseFont"].split("+")[1] for font in fonts} == {"DejaVuSans", "DejaVuSans-Bold"}
    assert all("/FontFile2" in font["/FontDescriptor"].get_object() for font in fonts)


def test_it_needs_the_projection_beside_it(report: Report, tmp_path: Path) -> None:
    with pytest.raises(ReportFileError, match=r"need mip\.png beside report\.json"):
        write_pdf(tmp_path, report)
