"""The report as a PDF: for the archive, for print, for whoever opens no HTML.

The same words and numbers as the page, without its viewer. Fonts are embedded; the name of a person
stands nowhere, as in the page.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from marrowmap.data.errors import ReportFileError
from marrowmap.inference.report import page_response, page_words, pdf_style, words
from marrowmap.inference.report.pdf_style import MARGIN, PAD, WIDTH
from marrowmap.inference.report.report_json import REPORT_FILE
from marrowmap.inference.report.tables import lesions_by_volume
from marrowmap.inference.report.words_catalog import ENGLISH, Words

if TYPE_CHECKING:
    from reportlab.platypus import Flowable, SimpleDocTemplate

Report = Mapping[str, Any]

PDF_FILE = "report.pdf"
#: Most that the picture may take of the page, points.
MIP_HEIGHT = 440.0
COLOURS = "Outlines: red certain, orange equivocal, blue suspected benign or rejected."
LESION_COLUMNS = (
    ("Lesion", 34.0),
    ("Region", 112.0),
    ("Longest (mm)", 66.0),
    ("Across (mm)", 50.0),
    ("Volume (ml)", 50.0),
    ("ADC (µm²/s)", 54.0),
    ("Probability", 52.0),
    ("Judged", 81.0),
)


def report_pdf(report: Report, mip_png: bytes, said: Words = ENGLISH) -> bytes:
    """Return the whole document.

    Args:
        report: A report that follows the schema.
        mip_png: The projection with outlines, as `mip.png`.
        said: The language.
    """
    from reportlab.platypus import SimpleDocTemplate

    pdf_style.embed_fonts()
    buffer = io.BytesIO()
    document = SimpleDocTemplate(
        buffer,
        leftMargin=MARGIN,
        rightMargin=MARGIN,
        topMargin=MARGIN,
        bottomMargin=MARGIN + 22,
        title=said("Whole-body MRI: marrow findings"),
        author="marrowmap",
        subject=said(words.RESEARCH_USE),
        lang=said.language,
    )
    foot = partial(pdf_style.foot, text=f"{said(words.RESEARCH_USE)} {_signature(report, said)}")
    with _binary_streams():
        document.build(_story(report, mip_png, document, said), onFirstPage=foot, onLaterPages=foot)
    return buffer.getvalue()


@contextmanager
def _binary_streams() -> Iterator[None]:
    """Leave pictures as bytes: as text, for printers of the 1990s, they are larger and take twice as long."""
    from reportlab import rl_config

    before = rl_config.useA85  # pyright: ignore[reportAttributeAccessIssue]
    rl_config.useA85 = 0  # pyright: ignore[reportAttributeAccessIssue]
    try:
        yield
    finally:
        rl_config.useA85 = before  # pyright: ignore[reportAttributeAccessIssue]


def write_pdf(folder: Path, report: Report, said: Words = ENGLISH) -> None:
    """Write `report.pdf` beside the report's `mip.png`.

    Raises:
        ReportFileError: If the projection is missing.
    """
    mip = folder / "mip.png"
    if not mip.is_file():
        raise ReportFileError(f"need mip.png beside {REPORT_FILE}; name the output folder of `infer`")
    (folder / PDF_FILE).write_bytes(report_pdf(report, mip.read_bytes(), said))


def _story(report: Report, mip_png: bytes, document: SimpleDocTemplate, said: Words) -> list[Flowable]:
    """Return the parts of the document in order."""
    from reportlab.platypus import PageBreak, Spacer

    study = report["study"]
    day = f"{said('Study of')} {study['study_date']}" if study["study_date"] else said("Study without a date")
    return [
        pdf_style.text(said("Whole-body MRI: marrow findings"), "title"),
        pdf_style.text(" · ".join(filter(None, (day, study["study_instance_uid"]))), "faint"),
        pdf_style.text(words.headline(report, said), "headline"),
        *_notice_lines(report, said),
        _figures(report, said),
        Spacer(0, 8),
        _projection(mip_png, document.width - 2 * PAD),
        pdf_style.text(said(COLOURS), "faint"),
        PageBreak(),
        pdf_style.text(said("Lesions"), "section"),
        _lesions(report, said),
        *_further(report, said),
        pdf_style.text(said("Burden by region"), "section"),
        _regions(report, said),
        pdf_style.text(said("Rules"), "section"),
        *_rules(report, said),
        pdf_style.text(said("How this was made"), "section"),
        *_provenance(report, said),
    ]


def _notice_lines(report: Report, said: Words) -> list[Flowable]:
    """Return alerts and what is missing, one line each."""
    return [
        pdf_style.text(
            f"<b>{escape(str(notice['title']))}:</b> {escape(str(notice['text']))}", style, is_markup=True
        )
        for notice in page_words.notices(report, said)
        for style in ("alert" if notice["level"] == "alert" else "notice",)
    ]


def _figures(report: Report, said: Words) -> Flowable:
    """Return the key figures side by side."""
    figures = page_words.key_figures(report, said)
    rows = [
        [pdf_style.text(figure["label"], "faint") for figure in figures],
        [pdf_style.text(f"{figure['value']} {figure['unit']}".strip(), "figure") for figure in figures],
        [pdf_style.text(figure["note"], "faint") for figure in figures],
    ]
    return pdf_style.table(rows, [WIDTH / len(figures)] * len(figures), has_head=False)


def _projection(mip_png: bytes, width: float) -> Flowable:
    """Return the picture, as large as the page allows."""
    from reportlab.lib.utils import ImageReader
    from reportlab.platypus import Image

    columns, rows = ImageReader(io.BytesIO(mip_png)).getSize()
    scale = min(width / columns, MIP_HEIGHT / rows)
    return Image(io.BytesIO(mip_png), width=columns * scale, height=rows * scale)


def _lesions(report: Report, said: Words) -> Flowable:
    """Return the lesion table, largest first, or the sentence that there is none."""
    lesions = lesions_by_volume(report)
    if not lesions:
        return pdf_style.text(words.headline(report, said), "body")
    head = [pdf_style.text(said(name), "faint") for name, _ in LESION_COLUMNS]
    return pdf_style.table(
        [head, *(_lesion_row(lesion, said) for lesion in lesions)], [width for _, width in LESION_COLUMNS]
    )


def _lesion_row(lesion: Mapping[str, Any], said: Words) -> list[Flowable]:
    texts = page_words.lesion_texts(lesion, said)
    judged = ", ".join(filter(None, (texts["certainty"], texts["status"], texts["benign"])))
    cells = (
        lesion["id"],
        texts["region"],
        texts["diameter"],
        texts["perpendicular"],
        texts["volume"],
        texts["adc"],
        texts["probability"],
        judged,
    )
    return [pdf_style.text(str(cell), "cell") for cell in cells]


def _further(report: Report, said: Words) -> list[Flowable]:
    """Return what follows from the lesions: biopsy candidates, and the response where there is one."""
    lines = page_words.biopsy_lines(report, said)
    biopsy = [pdf_style.text(said("For the team to discuss for biopsy"), "section")] if lines else []
    return [*biopsy, *(pdf_style.text(line, "body") for line in lines), *_response(report, said)]


def _response(report: Report, said: Words) -> list[Flowable]:
    """Return the change against an earlier exam: category, volume, ADC, and what to know of it."""
    parts = page_response.response_parts(report, said)
    if parts is None:
        return []
    figures = [f"{one['label']}: {one['value']} {one['note']}".strip() for one in parts["figures"]]
    lines = [parts["dates"], *figures, *parts["warnings"], parts["source"]]
    return [
        pdf_style.text(said("Response"), "section"),
        *(pdf_style.text(line, "body") for line in lines if line),
    ]


def _regions(report: Report, said: Words) -> Flowable:
    """Return lesions, volume and share of every region; what was not imaged says so."""
    names = ("Region", "Lesions", "Volume (ml)", "Part of the marrow", "Coverage")
    rows = [[pdf_style.text(said(name), "faint") for name in names]]
    for row in page_words.region_rows(report, said):
        cells = (row["label"], row["count"], row["volume"], row["fraction"], row["coverage"])
        rows.append([pdf_style.text(str(cell), "cell") for cell in cells])
    return pdf_style.table(rows, [170.0, 60.0, 75.0, 90.0, 104.0])


def _rules(report: Report, said: Words) -> list[Flowable]:
    """Return each rule with its value, what it rests on, what is missing, and its source."""
    parts: list[Flowable] = []
    for card in page_words.stage_cards(report, said):
        bars = ", ".join(f"{bar['label']}: {bar['percent']}" for bar in card["bars"])
        status = card["status"] if card["class"] == "known" else ""
        left = f"{said('still possible')}: {card['candidates']}" if card["candidates"] else ""
        missing = f"{said('missing')}: {card['missing']}" if card["missing"] else ""
        more = "; ".join(filter(None, (status, bars, left, missing, *card["warnings"])))
        title = f"<b>{escape(card['title'])}: {escape(str(card['value']))}</b>"
        parts.append(pdf_style.text(f"{title} ({escape(more)})" if more else title, "body", is_markup=True))
        parts.append(pdf_style.text(f"{card['rule']}. {card['source']}", "faint"))
    return parts


def _provenance(report: Report, said: Words) -> list[Flowable]:
    """Return weights, their hash, what they learnt from, and the limits."""
    model, study = report["model"], report["study"]
    found = page_words.sequence_list(report, said)
    weights = f"{model['name']} {model['version']}, {model['engine']} ({model['device']})"
    sentences = (
        f"{said('Sequences')}: {found}",
        f"{said('Weights')}: {weights}; sha256 {model['sha256']}",
        f"{said('Trained on')}: {model['trained_on']}",
        f"{said('Intended use')}: {model['intended_use']}",
        said(str(report.get("limits") or words.RESEARCH_USE)),
        *(() if "simulated" not in str(model["trained_on"]) else (said(words.SIMULATED_TRAINING),)),
        *(() if study["study_instance_uid"] else (said("No DICOM objects: the study was not DICOM."),)),
    )
    return [pdf_style.text(sentence, "body") for sentence in sentences]


def _signature(report: Report, said: Words) -> str:
    """Return whether a reader has signed."""
    signed = (report.get("revision") or {}).get("signed_by")
    if not signed:
        return said("Preliminary: no reader has signed.")
    return f"{said('Signed by')} {signed['name'].replace('^', ', ')}, {signed['organization']}."
