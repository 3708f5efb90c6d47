"""The reader decides: lesions are rejected or accepted, and everything downstream is recomputed."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from marrowmap.data.errors import ReportFileError
from marrowmap.data.exam import Array3D
from marrowmap.data.grid import Grid
from marrowmap.inference.alerts import femur_top_mm, find_alerts, with_symptoms
from marrowmap.inference.assemble import notes_of, stage_report
from marrowmap.inference.biopsy import propose_biopsy
from marrowmap.inference.burden import measure_burden
from marrowmap.inference.clinical import clinical_from_mapping
from marrowmap.inference.collapse import SpineFindings, describe_spine
from marrowmap.inference.counts import count_lesions
from marrowmap.inference.coverage import whole_regions
from marrowmap.inference.doubt import doubt_again
from marrowmap.inference.findings import Coverage, Lesion
from marrowmap.inference.findings_json import lesion_from_json, to_json
from marrowmap.inference.levels import label_levels
from marrowmap.inference.pattern import pattern_from_evidence
from marrowmap.inference.report.pictures import ReportImages
from marrowmap.inference.report.report_json import read_report
from marrowmap.inference.response.compare import revised as revised_response
from marrowmap.inference.signature import Signature
from marrowmap.inference.spine import SpineSettings, spine_column

Decision = Literal["accept", "reject"]

#: The volumes that the report shows, kept beside it so that a revision can draw its pictures again.
IMAGES_FILE = "images.npz"


@dataclass(frozen=True, kw_only=True)
class ReportMaps:
    """The maps that `infer` wrote beside a report.

    Attributes:
        lesion_labels: uint16 `(i, j, k)`.
        regions: uint8 `(i, j, k)`.
        adc: float32 `(i, j, k)` in um2/s, None when the exam had none.
        grid: Shape and affine of the maps.
    """

    lesion_labels: npt.NDArray[np.uint16]
    regions: npt.NDArray[np.uint8]
    adc: Array3D | None
    grid: Grid


def recompute(
    report: Mapping[str, Any], decisions: Mapping[int, Decision], maps: ReportMaps
) -> dict[str, Any]:
    """Return the report after a reader's decisions; the given one is left as it is.

    An accepted lesion becomes certain and loses its suspected benign mark; a rejected one stays in the
    list, marked, and counts nowhere. Counts, burden, pattern, alerts, biopsy candidates and staging
    follow. Decisions of earlier revisions stay unless a new one names the same lesion.

    Args:
        report: What `infer` or an earlier revision wrote.
        decisions: By lesion id.
        maps: The maps beside the report.

    Raises:
        ReportFileError: If a lesion does not exist.
    """
    lesions = tuple(lesion_from_json(entry) for entry in report["lesions"])
    _refuse_unknown(decisions, lesions)
    lesions = tuple(decided(lesion, decisions.get(lesion.id)) for lesion in lesions)
    pattern = pattern_from_evidence(lesions, dict(report["pattern"]["evidence"]))
    coverage, femur_top = report["study"]["coverage"], femur_top_mm(maps.regions, maps.grid)
    before = report["burden"].get("fat_fraction") or {}
    burden = measure_burden(
        lesions, maps.lesion_labels, maps.regions, maps.adc, maps.grid, marrow_fat=before.get("marrow")
    )
    spine = spine_of_maps(lesions, maps, coverage)
    clinical = clinical_from_mapping(report.get("clinical") or {})
    alerts = find_alerts(lesions, pattern, coverage, femur_top, spine=spine)
    revised = {
        **report,
        "lesions": to_json(lesions),
        "counts": to_json(count_lesions(lesions)),
        "burden": to_json(burden),
        "pattern": to_json(pattern),
        "spine": to_json(spine),
        "doubt": to_json(doubt_again(lesions, report.get("doubt"))),
        "alerts": to_json(with_symptoms(alerts, coverage, clinical)),
        "biopsy_candidates": to_json(propose_biopsy(lesions)),
        "revision": _revision(report, decisions),
    }
    if report["response"]:
        revised["response"] = revised_response(report["response"], revised)
    revised["staging"] = stage_report(revised, clinical)
    revised["notes"] = notes_of(revised, lesions, pattern, burden, spine, clinical)
    return revised


def spine_of_maps(
    lesions: tuple[Lesion, ...], maps: ReportMaps, coverage: Mapping[str, Coverage]
) -> SpineFindings:
    """Return levels, collapses and canal from the maps, without the lesions that a reader rejected."""
    kept = [lesion.id for lesion in lesions if lesion.certainty != "rejected"]
    mask = np.isin(maps.lesion_labels, kept) & (maps.lesion_labels > 0)
    column = spine_column(maps.regions, maps.grid.spacing_mm, SpineSettings())
    levels = label_levels(maps.regions, column, whole_regions(coverage), maps.grid.spacing_mm[2])
    return describe_spine(maps.regions, mask, column, levels, maps.grid.spacing_mm)


def revise_folder(
    out: Path, decisions: Mapping[int, Decision], signed_by: Signature | None = None
) -> dict[str, Any]:
    """Revise an output folder of `infer` in place and return its new report; PDF and DICOM objects follow.

    Args:
        out: Folder with `report.json` and its maps.
        decisions: By lesion id.
        signed_by: The reader who takes responsibility; a revision without one is unsigned again.

    Raises:
        ReportFileError: If a file of the folder is missing or a lesion does not exist.
    """
    from marrowmap.inference.dicom_out.attach import rewrite_documents
    from marrowmap.inference.report.write import write_outputs
    from marrowmap.inference.response.files import write_trend

    maps = read_maps(out)
    report = recompute(read_report(out), decisions, maps)
    if signed_by is not None:
        report["revision"]["signed_by"] = to_json(signed_by)
    probability, affine = _read_map(out / "lesion_probability.nii.gz")
    written = {
        "lesions": (maps.lesion_labels, affine),
        "regions": (maps.regions, affine),
        "lesion_probability": (probability, affine),
        **({} if maps.adc is None else {"adc": (maps.adc, affine)}),
    }
    documents = partial(
        rewrite_documents,
        out=out,
        report=report,
        lesion_labels=maps.lesion_labels,
        regions=maps.regions,
        grid=maps.grid,
    )
    trend = partial(write_trend, report=report)
    write_outputs(out, report, read_images(out, maps), written, also=[trend, documents])
    return report


def read_maps(out: Path) -> ReportMaps:
    """Read the maps beside a report.

    Raises:
        ReportFileError: If a map is missing.
    """
    labels, affine = _read_map(out / "lesions.nii.gz")
    regions, _ = _read_map(out / "regions.nii.gz")
    adc = _read_map(out / "adc.nii.gz")[0].astype(np.float32) if (out / "adc.nii.gz").exists() else None
    i, j, k = labels.shape
    return ReportMaps(
        lesion_labels=np.rint(labels).astype(np.uint16),
        regions=np.rint(regions).astype(np.uint8),
        adc=adc,
        grid=Grid(shape=(i, j, k), affine_ras_mm=affine),
    )


def read_probability(out: Path) -> Array3D:
    """Read the lesion probability beside a report, float32 `(i, j, k)`.

    Raises:
        ReportFileError: If it is missing.
    """
    return _read_map(out / "lesion_probability.nii.gz")[0].astype(np.float32, copy=False)


def write_images(
    folder: Path, images: ReportImages, extra: Mapping[str, npt.NDArray[Any]] | None = None
) -> None:
    """Keep the volumes that the report shows, each in 256 steps, and what comparing exams needs besides.

    Args:
        folder: Where to write.
        images: The volumes.
        extra: More arrays, written as they are.
    """
    kept: dict[str, npt.NDArray[Any]] = dict(extra or {})
    for name in ("dwi_high", "t1", "stir"):
        volume = getattr(images, name)
        if volume is not None:
            scale = 255.0 / max(float(volume.max()), 1e-9)
            kept[name] = np.rint(volume * np.float32(scale)).astype(np.uint8)
    # As numpy's own savez_compressed, but at the level that is three times as fast and as good on noise.
    with zipfile.ZipFile(folder / IMAGES_FILE, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, volume in kept.items():
            with archive.open(f"{name}.npy", "w") as file:
                np.lib.format.write_array(file, volume, allow_pickle=False)


def read_images(out: Path, maps: ReportMaps) -> ReportImages:
    """Read the volumes that the report shows back.

    Raises:
        ReportFileError: If they are missing.
    """
    path = out / IMAGES_FILE
    try:
        with np.load(path, allow_pickle=False) as kept:
            volumes = {name: kept[name].astype(np.float32) for name in kept.files}
        return ReportImages(
            dwi_high=volumes["dwi_high"],
            t1=volumes.get("t1"),
            stir=volumes.get("stir"),
            lesion_labels=maps.lesion_labels,
            spacing_mm=maps.grid.spacing_mm,
        )
    except (OSError, KeyError, ValueError) as error:
        raise ReportFileError(f"need {IMAGES_FILE} beside the report; run infer again") from error


def _read_map(path: Path) -> tuple[npt.NDArray[np.floating], npt.NDArray[np.float64]]:
    from marrowmap.data.nifti import read_nifti

    if not path.is_file():
        raise ReportFileError(f"need {path.name} beside the report; name the output folder of `infer`")
    return read_nifti(path)


def _refuse_unknown(decisions: Mapping[int, Decision], lesions: tuple[Lesion, ...]) -> None:
    known = {lesion.id for lesion in lesions}
    unknown = sorted(set(decisions) - known)
    if unknown:
        found = f"1 to {max(known)}" if known else "none"
        raise ReportFileError(f"no lesion {unknown[0]}: the report lists {found}; correct the ids")


def decided(lesion: Lesion, decision: Decision | None) -> Lesion:
    """Return a lesion after a reader's decision; None leaves it as it is."""
    if decision == "reject":
        return replace(lesion, certainty="rejected")
    if decision == "accept":
        # To a reader it is a lesion; whether it is large enough is left to its diameter.
        return replace(
            lesion, certainty="certain", suspected_benign=None, probability=1.0, focal_probability=None
        )
    return lesion


def _revision(report: Mapping[str, Any], decisions: Mapping[int, Decision]) -> dict[str, list[int]]:
    """Return which lesions readers have rejected and accepted so far."""
    before = report.get("revision") or {}
    so_far: dict[int, Decision] = {number: "reject" for number in before.get("rejected", ())}
    so_far |= {number: "accept" for number in before.get("accepted", ())}
    so_far |= decisions
    return {
        "rejected": sorted(number for number, decision in so_far.items() if decision == "reject"),
        "accepted": sorted(number for number, decision in so_far.items() if decision == "accept"),
    }
