"""Write everything that one exam's findings become, whole or not at all."""

from __future__ import annotations

import logging
import os
import re
import shutil
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from marrowmap.data.exam import Affine
from marrowmap.data.whole_file import write_whole
from marrowmap.inference.report.page_burden import review_maps
from marrowmap.inference.report.pictures import ReportImages, draw_pictures
from marrowmap.inference.report.report_html import lesion_groups, render_html
from marrowmap.inference.report.report_json import REPORT_FILE, report_text, validate_report
from marrowmap.inference.report.tables import lesions_csv
from marrowmap.inference.report.words_catalog import LANGUAGES, words_of

Report = Mapping[str, Any]
LabelledMap = tuple[npt.NDArray[Any], Affine]

#: Names of ours that a later run may no longer write, such as an ADC map; they never outlive their report.
OUTPUT_NAMES = (
    REPORT_FILE,
    "report.html",
    "report.pdf",
    "lesions.csv",
    "mip.png",
    "lesions.nii.gz",
    "regions.nii.gz",
    "lesion_probability.nii.gz",
    "adc.nii.gz",
    "trend.svg",
    "dicom",
    "dicom_sources.zip",
)

logger = logging.getLogger(__name__)


def write_outputs(
    out: Path,
    report: Report,
    images: ReportImages,
    maps: Mapping[str, LabelledMap],
    *,
    also: Iterable[Callable[[Path], None]] = (),
    language: str | None = None,
) -> None:
    """Write report.json, report.html, lesions.csv, mip.png and the NIfTI maps into `out`.

    Everything is first written into a temporary folder beside `out` and moved into place at the
    end: when anything fails, `out` is as it was. Files of other names already in `out` stay;
    `report.json` is taken away first and placed last, so a folder with it is whole.

    Args:
        out: Folder to make or to refresh.
        report: The whole report of `contract.md`, plain JSON values only; validated here.
        images: Volumes on the working grid, for the pictures.
        maps: Array and voxel-to-RAS affine by file stem: `lesions`, `regions`,
            `lesion_probability`, `adc` (um2/s). Each becomes `<stem>.nii.gz`.
        also: Functions that each write more files (the DICOM objects) into the folder given to them.
        language: Of the page: `en`, `fr` or `de`; None keeps that of the page already there.

    Raises:
        ReportFileError: If the report does not follow the schema.
        SettingsError: If the page is not written in that language.
        OSError: If the disk is full or the folder may not be written.
    """
    validate_report(report)
    page, mip_png = _page(report, images, maps, language or page_language(out))
    staged = _sibling(out)
    try:
        _write_text(staged / REPORT_FILE, report_text(report))
        _write_text(staged / "report.html", page)
        _write_text(staged / "lesions.csv", lesions_csv(report))
        (staged / "mip.png").write_bytes(mip_png)
        for stem, (array, affine) in maps.items():
            write_map(staged / f"{stem}.nii.gz", stem, array, affine)
        for write_more in also:
            write_more(staged)
        _move_into_place(staged, out)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    logger.info("wrote %s", out)


def write_page(
    out: Path, report: Report, images: ReportImages, maps: Mapping[str, LabelledMap], language: str
) -> Path:
    """Write `report.html` alone again, in a language, and return its path; whole or not at all."""
    page, _ = _page(report, images, maps, language)
    path = out / "report.html"
    write_whole(path, page)
    return path


def _page(
    report: Report, images: ReportImages, maps: Mapping[str, LabelledMap], language: str
) -> tuple[str, bytes]:
    """Return the page and the projection as PNG; the ADC map is among the images."""
    said = words_of(language)
    shown = replace(images, adc=maps["adc"][0]) if "adc" in maps and images.adc is None else images
    pictures = draw_pictures(shown, lesion_groups(report))
    return render_html(report, pictures, review_maps(maps), said), pictures.mip_png


def page_language(out: Path) -> str:
    """Return the language of the page in a folder; English where there is none."""
    path = out / "report.html"
    if not path.is_file():
        return "en"
    with path.open(encoding="utf-8", errors="replace") as file:
        found = re.search(r'<html lang="(\w+)"', file.read(200))
    return found[1] if found and found[1] in LANGUAGES else "en"


def write_map(path: Path, stem: str, array: npt.NDArray[Any], affine_ras_mm: Affine) -> None:
    """Write one compressed NIfTI in the smallest type that keeps what it means.

    Labels stay exact; a probability is kept in steps of 1/255 and the ADC in steps of 1 um2/s, both
    with the scale in the header, so that any reader sees the real values.
    """
    import nibabel

    slope = 1.0
    if stem == "lesion_probability":
        slope = 1 / 255
        stored = np.round(np.clip(array, 0.0, 1.0) * 255).astype(np.uint8)
    elif stem == "adc":
        stored = np.round(np.clip(np.nan_to_num(array), 0.0, 32767.0)).astype(np.int16)
    else:
        stored = array.astype(np.uint8 if int(array.max(initial=0)) < 256 else np.uint16)
    image = nibabel.Nifti1Image(stored, affine_ras_mm)
    image.header.set_slope_inter(slope, 0.0)
    image.header.set_xyzt_units("mm")
    image.set_qform(affine_ras_mm, code=1)
    image.set_sform(affine_ras_mm, code=1)
    nibabel.save(image, path)


def _sibling(out: Path) -> Path:
    """Make the temporary folder: beside `out`, or inside it where `out` is a mounted disk."""
    parent = out if out.is_mount() else out.resolve().parent
    folder = parent / f".{out.resolve().name}.{uuid.uuid4().hex[:8]}.partial"
    folder.mkdir(parents=True)
    return folder


def _write_text(path: Path, text: str) -> None:
    """Write UTF-8 with plain line feeds: the page's content policy is a hash of its bytes."""
    path.write_text(text, encoding="utf-8", newline="\n")


def _move_into_place(staged: Path, out: Path) -> None:
    """Move what was staged to `out`; the report goes last, it says that the rest is whole."""
    if not out.exists():
        staged.rename(out)
        return
    for name in OUTPUT_NAMES:
        _remove(out / name)
    for entry in sorted(staged.iterdir(), key=lambda path: path.name == REPORT_FILE):
        _remove(out / entry.name)
        os.replace(entry, out / entry.name)


def _remove(path: Path) -> None:
    """Remove a file or a folder of an earlier run, if there is one."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
