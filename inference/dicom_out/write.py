"""All result objects of one exam, written into one folder.

| file | holds |
|---|---|
| `seg.dcm` | the lesions on the composed series (the skeleton that was searched, where there is none) |
| `seg_regions.dcm` | the skeletal regions on the composed series |
| `seg_source_1.dcm` ... | the lesions on each source series that shows one, the same tracking UIDs |
| `sr.dcm`, `report.dcm`, `mip.dcm` | structured report, PDF report, colour projection |
| `composed/0001.dcm` ... | the composed high-b series, coronal |
| `adc.dcm`, `probability.dcm`, `rtstruct.dcm` | on demand |

Beside the folder, `dicom_sources.zip` keeps the headers that a revision needs; it identifies the patient, as
every object does.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import dcmread
from pydicom.dataset import Dataset

from marrowmap.data.sources import SourceSeries, read_kept_sources, write_sources
from marrowmap.inference.dicom_out import composed, maps, pictures, report_sr, structure_set
from marrowmap.inference.dicom_out.labels import label_frames, middles_mm
from marrowmap.inference.dicom_out.object_maps import ObjectMaps, maker_of, reader_of
from marrowmap.inference.dicom_out.provenance import Maker, complete, digest_of
from marrowmap.inference.dicom_out.segments import (
    Segment,
    lesion_segments,
    region_segments,
    searched_segment,
    segmentation,
    source_words,
)

FOLDER = "dicom"
#: Beside the folder, not in it: whoever sends the folder sends objects and nothing else.
SOURCES_FILE = "dicom_sources.zip"
SEG_NUMBER, REGIONS_NUMBER, SOURCE_SEG_NUMBER = 9102, 9103, 9110
#: Files that no decision of a reader changes.
_LASTING = ("seg_regions.dcm", "adc.dcm", "probability.dcm")

Report = Mapping[str, Any]


def write_objects(
    out: Path,
    report: Report,
    object_maps: ObjectMaps,
    sources: tuple[SourceSeries, ...],
    *,
    with_maps: bool = False,
    with_structure_set: bool = False,
) -> None:
    """Write every object of an exam below `out`, where `mip.png` and `report.pdf` already are.

    Args:
        out: Folder of the outputs, being made.
        report: The whole `report.json`.
        object_maps: What the objects show.
        sources: Source series; none, no objects.
        with_maps: Also ADC and probability as parametric maps.
        with_structure_set: Also the lesions as contours.
    """
    if not sources or object_maps.signal is None:
        return
    folder = out / FOLDER
    folder.mkdir()
    # Kept as they were read, before anything is asked of them: that costs a quarter of the time.
    write_sources(out / SOURCES_FILE, sources)
    _complete(sources)
    maker = maker_of(report, object_maps)
    b_value = (report["study"].get("b_values_s_per_mm2") or {}).get("dwi_high")
    whole, pixels = composed.compose_series(
        object_maps.signal, object_maps.lesion_labels, object_maps.grid, sources[0], maker, b_value
    )
    composed.write_series(whole, pixels, folder / composed.FOLDER)
    _write_regions(folder, object_maps, whole, maker)
    if with_maps:
        _write_maps(folder, object_maps, whole, maker)
    _write_findings(out, report, object_maps, (whole, *sources), maker, with_structure_set=with_structure_set)


def rewrite_objects(staged: Path, out: Path, report: Report, object_maps: ObjectMaps) -> None:
    """Make the objects of a revised report anew; what the decision does not touch is taken over.

    Args:
        staged: Folder of the new outputs, where `mip.png` and `report.pdf` already are.
        out: Folder of the outputs before the decision.
        report: The revised report.
        object_maps: The maps, which a revision never changes.
    """
    before = out / FOLDER
    if not (out / SOURCES_FILE).is_file():
        return
    folder = staged / FOLDER
    folder.mkdir()
    shutil.copytree(before / composed.FOLDER, folder / composed.FOLDER)
    shutil.copy2(out / SOURCES_FILE, staged / SOURCES_FILE)
    for name in _LASTING:
        if (before / name).is_file():
            shutil.copy2(before / name, folder / name)
    sources = read_kept_sources(out / SOURCES_FILE)
    _complete(sources)
    series = (composed.read_series(before / composed.FOLDER), *sources)
    previous = dcmread(before / "sr.dcm") if (before / "sr.dcm").is_file() else None
    has_contours = (before / "rtstruct.dcm").is_file()
    maker = maker_of(report, object_maps)
    _write_findings(
        staged, report, object_maps, series, maker, previous=previous, with_structure_set=has_contours
    )


def _complete(sources: tuple[SourceSeries, ...]) -> None:
    """Fill in what an export left out of headers, in place."""
    for stack in (stack for series in sources for stack in series.stacks):
        for dataset in {id(dataset): dataset for dataset in stack.datasets}.values():
            complete(dataset, stack.grid.spacing_mm[2])


def _write_findings(
    out: Path,
    report: Report,
    object_maps: ObjectMaps,
    series: tuple[SourceSeries, ...],
    maker: Maker,
    *,
    previous: Dataset | None = None,
    with_structure_set: bool,
) -> None:
    """Write what a reader's decision changes: lesions, structured report, document, projection."""
    folder, (whole, *sources) = out / FOLDER, series
    # Without the seconds of the run: the same findings give the same UIDs.
    said = {key: value for key, value in report.items() if key != "run"}
    seed = digest_of([json.dumps(said, sort_keys=True).encode()])
    segments = lesion_segments(report["lesions"], maker)
    seg = _whole_body_seg(object_maps, whole, segments, maker)
    seg.save_as(folder / "seg.dcm")
    labelled = _write_source_segs(folder, object_maps, sources, segments, maker)
    if with_structure_set:
        contours = structure_set.structure_set(labelled, segments, maker)
        if contours is not None:
            contours.save_as(folder / "rtstruct.dcm", enforce_file_format=True)
    evidence = [*whole.datasets, *(d for one in sources for d in one.datasets)]
    reader = reader_of(report)
    document = report_sr.structured_report(
        report, seg, evidence, maker, reader=reader, previous=previous, seed=seed
    )
    document.save_as(folder / "sr.dcm")
    pdf = (out / "report.pdf").read_bytes()
    made = pictures.encapsulated_pdf(pdf, sources[0], maker, reader=reader, seed=seed)
    made.save_as(folder / "report.dcm", enforce_file_format=True)
    pictures.projection((out / "mip.png").read_bytes(), sources[0], maker).save_as(folder / "mip.dcm")


def _whole_body_seg(
    object_maps: ObjectMaps, whole: SourceSeries, segments: list[Segment], maker: Maker
) -> Any:
    """Return the lesions on the composed series, or the skeleton that was searched where there is none."""
    words = {"number": SEG_NUMBER, "description": "marrowmap lesions (research)", "label": "LESIONS"}
    frames = composed.on_series(object_maps.lesion_labels, object_maps.grid, whole)
    seg = segmentation(whole, frames, segments, maker, **words)
    if seg is not None:
        return seg
    searched = composed.on_series(object_maps.regions > 0, object_maps.grid, whole).astype(np.uint16)
    has_skeleton = bool(searched.any())
    if not has_skeleton:
        searched[:] = 1
    return segmentation(whole, searched, [searched_segment(maker, has_skeleton=has_skeleton)], maker, **words)


def _write_source_segs(
    folder: Path,
    object_maps: ObjectMaps,
    sources: list[SourceSeries],
    segments: list[Segment],
    maker: Maker,
) -> list[tuple[SourceSeries, npt.NDArray[np.uint16]]]:
    """Write the lesions on every source series that shows one; return the labels of each series."""
    kept = {segment.value for segment in segments}
    middles = {
        n: at for n, at in middles_mm(object_maps.lesion_labels, object_maps.grid).items() if n in kept
    }
    labelled = []
    for position, series in enumerate(sources, start=1):
        frames = label_frames(object_maps.lesion_labels, object_maps.grid, series, middles)
        seg = segmentation(
            series,
            frames,
            segments,
            maker,
            number=SOURCE_SEG_NUMBER + position,
            description=f"marrowmap lesions on {source_words(series)} (research)"[:64],
            label="LESIONS",
        )
        if seg is not None:
            seg.save_as(folder / f"seg_source_{position}.dcm")
        labelled.append((series, frames))
    return labelled


def _write_regions(folder: Path, object_maps: ObjectMaps, whole: SourceSeries, maker: Maker) -> None:
    frames = composed.on_series(object_maps.regions, object_maps.grid, whole).astype(np.uint16)
    seg = segmentation(
        whole,
        frames,
        region_segments(maker),
        maker,
        number=REGIONS_NUMBER,
        description="marrowmap skeletal regions (research)",
        label="REGIONS",
    )
    if seg is not None:
        seg.save_as(folder / "seg_regions.dcm")


def _write_maps(folder: Path, object_maps: ObjectMaps, whole: SourceSeries, maker: Maker) -> None:
    if object_maps.adc is not None:
        frames = composed.on_series(object_maps.adc, object_maps.grid, whole)
        maps.adc_map(frames, whole, maker).save_as(folder / "adc.dcm")
    if object_maps.lesion_probability is not None:
        frames = composed.on_series(object_maps.lesion_probability, object_maps.grid, whole)
        maps.probability_map(frames, whole, maker).save_as(folder / "probability.dcm")
