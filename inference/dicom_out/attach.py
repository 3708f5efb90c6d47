"""How `infer` and `revise` come to the PDF and the DICOM objects; highdicom is loaded only here and late."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from marrowmap.data.exam import Array3D, Exam, ExamWarning, LabelArray
from marrowmap.data.grid import Grid
from marrowmap.data.headers import tolerant
from marrowmap.data.sources import SourceSeries, read_sources
from marrowmap.data.study import Study
from marrowmap.inference.findings import Findings
from marrowmap.inference.report.pdf import write_pdf
from marrowmap.inference.report.words_catalog import words_of
from marrowmap.inference.report.write import page_language

NO_OBJECTS = ExamWarning(
    code="no_dicom_objects",
    text="No DICOM objects were made: they need the headers of DICOM slices, and this study has none "
    "that they could refer to.",
)


def with_sources(
    exam: Exam, study: Study | None, is_wanted: bool = True
) -> tuple[Exam, tuple[SourceSeries, ...]]:
    """Return the source series of an exam, and the exam with a warning where there are none.

    Args:
        exam: The exam.
        study: What it was read from; None for NIfTI.
        is_wanted: False returns the exam as it is and no source: no objects were asked for.
    """
    if not is_wanted:
        return exam, ()
    sources = read_sources(study, exam)
    return (exam if sources else replace(exam, warnings=(*exam.warnings, NO_OBJECTS))), sources


def write_documents(
    out: Path,
    *,
    report: Mapping[str, Any],
    findings: Findings,
    signal: Array3D,
    sources: tuple[SourceSeries, ...],
    with_maps: bool,
    with_structure_set: bool,
) -> None:
    """Write `report.pdf` and the DICOM objects of a new report.

    Args:
        out: Folder being made; `mip.png` is there.
        report: The whole report.
        findings: Its maps.
        signal: High-b diffusion on their grid.
        sources: What the objects refer to; none, no objects.
        with_maps: Also ADC and probability as parametric maps.
        with_structure_set: Also the lesions as contours.
    """
    write_pdf(out, report, words_of(page_language(out)))
    if not sources:
        return
    from marrowmap.inference.dicom_out.object_maps import ObjectMaps
    from marrowmap.inference.dicom_out.write import write_objects

    object_maps = ObjectMaps(
        lesion_labels=findings.lesion_labels,
        regions=findings.regions,
        grid=findings.grid,
        signal=signal,
        adc=findings.adc,
        lesion_probability=findings.lesion_probability,
    )
    # Values that scanners wrote and we copy, such as a name without a caret, are not ours to complain of.
    with tolerant():
        write_objects(
            out, report, object_maps, sources, with_maps=with_maps, with_structure_set=with_structure_set
        )


def rewrite_documents(
    staged: Path,
    *,
    out: Path,
    report: Mapping[str, Any],
    lesion_labels: LabelArray,
    regions: LabelArray,
    grid: Grid,
) -> None:
    """Make `report.pdf` and the DICOM objects of a revised report anew.

    Args:
        staged: Folder being made; `mip.png` is there.
        out: Folder as it was before the decision.
        report: The revised report.
        lesion_labels: `(i, j, k)`, which a revision never changes.
        regions: The same.
        grid: Their grid.
    """
    write_pdf(staged, report, words_of(page_language(staged)))
    if not (out / "dicom").is_dir():
        return
    from marrowmap.inference.dicom_out.object_maps import ObjectMaps
    from marrowmap.inference.dicom_out.write import rewrite_objects

    object_maps = ObjectMaps(lesion_labels=lesion_labels, regions=regions, grid=grid)
    with tolerant():
        rewrite_objects(staged, out, report, object_maps)
