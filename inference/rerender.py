"""The page of an exam once more: in another language, or after the program has changed."""

from __future__ import annotations

from pathlib import Path

from marrowmap.inference.report.report_json import read_report
from marrowmap.inference.report.words_catalog import words_of
from marrowmap.inference.report.write import page_language, write_page
from marrowmap.inference.revise import read_images, read_maps


def render_again(out: Path, language: str | None = None) -> Path:
    """Write `report.html`, and `report.pdf` where there is one, again from what stands beside it.

    Args:
        out: Output folder of `infer`.
        language: `en`, `fr` or `de`; None keeps that of the page.

    Returns:
        The page's path.

    Raises:
        ReportFileError: If the report, a map or the images are missing.
        SettingsError: If the report is not written in that language.
    """
    from marrowmap.inference.report.pdf import PDF_FILE, write_pdf

    said = words_of(language or page_language(out))
    report, maps = read_report(out), read_maps(out)
    affine = maps.grid.affine_ras_mm
    written = {
        "lesions": (maps.lesion_labels, affine),
        "regions": (maps.regions, affine),
        **({} if maps.adc is None else {"adc": (maps.adc, affine)}),
    }
    page = write_page(out, report, read_images(out, maps), written, said.language)
    if (out / PDF_FILE).exists():
        write_pdf(out, report, said)
    return page
