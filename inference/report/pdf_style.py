"""How the PDF looks: fonts that are embedded, paragraph styles, tables and the foot of a page."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from marrowmap.data.errors import ReportFileError

if TYPE_CHECKING:
    from reportlab.lib.styles import ParagraphStyle
    from reportlab.pdfgen.canvas import Canvas
    from reportlab.platypus import Flowable, SimpleDocTemplate

FONT, BOLD = "DejaVuSans", "DejaVuSans-Bold"
#: Points; A4 is 595 x 842.
MARGIN, PAD = 42.0, 6.0
#: What is left of A4 between margins and padding.
WIDTH = 499.0
INK, FAINT, RULE, ALERT, NOTICE = "#1a1a1a", "#5a5a5a", "#c8c8c8", "#b00020", "#8a5a00"


def foot(canvas: Canvas, document: SimpleDocTemplate, *, text: str) -> None:
    """Draw the foot of a page: what it may be used for, who signed, which page."""
    from reportlab.lib.utils import simpleSplit

    canvas.saveState()
    canvas.setFont(FONT, 6.5)
    canvas.setFillColor(FAINT)
    left, right = document.leftMargin + PAD, document.leftMargin + document.width - PAD
    for line, part in enumerate(simpleSplit(text, FONT, 6.5, right - left - 24)[:3]):
        canvas.drawString(left, MARGIN + 8 - 8.5 * line, part)
    canvas.drawRightString(right, MARGIN + 8, str(canvas.getPageNumber()))
    canvas.restoreState()


def table(rows: list[list[Flowable]], widths: list[float], *, has_head: bool = True) -> Flowable:
    """Return rows with thin lines; a long table repeats its head on every page."""
    from reportlab.platypus import Table, TableStyle

    lines = ("LINEBELOW", (0, 0), (-1, -1), 0.4, RULE)
    tight = (("TOPPADDING", (0, 0), (-1, -1), 1.5), ("BOTTOMPADDING", (0, 0), (-1, -1), 2.5))
    sides = (("LEFTPADDING", (0, 0), (-1, -1), 2), ("RIGHTPADDING", (0, 0), (-1, -1), 2))
    style = TableStyle([lines, *tight, *sides, ("VALIGN", (0, 0), (-1, -1), "TOP")])
    return Table(rows, colWidths=widths, repeatRows=int(has_head), style=style, hAlign="LEFT")


def text(text: str, style: str, *, is_markup: bool = False) -> Flowable:
    """Return a paragraph; text that is not ours is escaped."""
    from reportlab.platypus import Paragraph

    return Paragraph(text if is_markup else escape(str(text)), _styles()[style])


@cache
def _styles() -> dict[str, ParagraphStyle]:
    """Return the paragraph styles by name."""
    from reportlab.lib.colors import HexColor
    from reportlab.lib.styles import ParagraphStyle

    def style(name: str, size: float, colour: str = INK, font: str = FONT, **more: Any) -> ParagraphStyle:
        return ParagraphStyle(
            name, fontName=font, fontSize=size, leading=1.3 * size, textColor=HexColor(colour), **more
        )

    styles = (
        style("title", 16, font=BOLD, spaceAfter=3),
        style("headline", 11, font=BOLD, spaceBefore=8, spaceAfter=6),
        style("section", 11, font=BOLD, spaceBefore=12, spaceAfter=4, keepWithNext=1),
        style("figure", 12, font=BOLD),
        style("body", 8, spaceAfter=2),
        style("cell", 7.5),
        style("faint", 7, FAINT, spaceAfter=2),
        style("alert", 8, ALERT, spaceAfter=2),
        style("notice", 8, NOTICE, spaceAfter=2),
    )
    return {made.name: made for made in styles}


@cache
def embed_fonts() -> None:
    """Register fonts that carry every letter of the report; matplotlib ships them under a free licence."""
    from reportlab.lib.fonts import addMapping
    from reportlab.pdfbase.pdfmetrics import registerFont
    from reportlab.pdfbase.ttfonts import TTFont

    found = find_spec("matplotlib")
    if found is None or found.origin is None:
        raise ReportFileError(
            "need the fonts of matplotlib for the PDF; install marrowmap with its requirements"
        )
    folder = Path(found.origin).parent / "mpl-data" / "fonts" / "ttf"
    for name in (FONT, BOLD):
        registerFont(TTFont(name, folder / f"{name}.ttf"))
    addMapping(FONT, 0, 0, FONT)
    addMapping(FONT, 1, 0, BOLD)
