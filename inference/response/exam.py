"""One of two exams to compare, as `infer` left it: report, maps and the volumes kept beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from marrowmap.data.errors import ReportFileError
from marrowmap.data.exam import Array3D, Sequence
from marrowmap.data.grid import Grid
from marrowmap.data.model_input import ModelInput
from marrowmap.inference.findings import Findings
from marrowmap.inference.measure import channel
from marrowmap.inference.report.report_json import read_report

Report = Mapping[str, Any]
Bytes3D = npt.NDArray[np.uint8]

#: Name in `images.npz`.
FAT_FRACTION = "fat_fraction"
#: Steps of the kept fat fraction from 0 to 1.
FAT_STEPS = 255.0


@dataclass(frozen=True, kw_only=True, eq=False)
class ComparedExam:
    """One exam, its numbers and its maps on its own grid.

    Attributes:
        report: `report.json`.
        lesion_labels: uint16 `(i, j, k)`, 0 or the lesion's id.
        regions: uint8 `(i, j, k)` of `Region` values.
        lesion_probability: float32 `(i, j, k)`.
        adc: float32 `(i, j, k)` in um2/s, None without ADC.
        images: Volumes in 256 steps by name (`dwi_high`, `t1`, `stir`, `fat_fraction`), absent ones left out.
        grid: Shape and affine of all of them.
    """

    report: Report
    lesion_labels: npt.NDArray[np.uint16]
    regions: npt.NDArray[np.uint8]
    lesion_probability: Array3D
    adc: Array3D | None
    images: Mapping[str, Bytes3D]
    grid: Grid


def read_compared(out: Path) -> ComparedExam:
    """Read an output folder of `infer`.

    Raises:
        ReportFileError: If a file is missing or was written by a version that kept no volumes to compare.
    """
    from marrowmap.inference.revise import IMAGES_FILE, read_maps, read_probability

    report, maps = read_report(out), read_maps(out)
    try:
        with np.load(out / IMAGES_FILE, allow_pickle=False) as kept:
            images = {n: kept[n] for n in ("dwi_high", "t1", "stir", FAT_FRACTION) if n in kept.files}
        images["dwi_high"]  # without it nothing can be compared
    except (OSError, KeyError, ValueError) as error:
        raise ReportFileError(
            f"need {IMAGES_FILE} with the volumes to compare in {out.name}; run infer on that study again"
        ) from error
    return ComparedExam(
        report=report,
        lesion_labels=maps.lesion_labels,
        regions=maps.regions,
        lesion_probability=read_probability(out),
        adc=maps.adc,
        images=images,
        grid=maps.grid,
    )


def compared_exam(report: Report, findings: Findings, model_input: ModelInput) -> ComparedExam:
    """Return the exam that has just been read, without a detour over the disk.

    Args:
        report: Its report so far.
        findings: Its maps.
        model_input: Its volumes.
    """
    volumes = {
        "dwi_high": model_input.channel(Sequence.DWI_HIGH),
        "t1": channel(model_input, Sequence.T1),
        "stir": channel(model_input, Sequence.STIR),
    }
    images = {n: _stepped(v, max(float(v.max()), 1e-9) / 255.0) for n, v in volumes.items() if v is not None}
    images |= kept_for_comparison(model_input)
    return ComparedExam(
        report=report,
        lesion_labels=findings.lesion_labels,
        regions=findings.regions,
        lesion_probability=findings.lesion_probability,
        adc=findings.adc,
        images=images,
        grid=findings.grid,
    )


def kept_for_comparison(model_input: ModelInput) -> dict[str, Bytes3D]:
    """Return what `images.npz` keeps, beyond the report's pictures, to compare a later exam with this one.

    Args:
        model_input: The exam's channels.

    Returns:
        The fat fraction in 256 steps, nothing where it was not measured.
    """
    fat = channel(model_input, Sequence.FAT_FRACTION)
    return {} if fat is None else {FAT_FRACTION: _stepped(fat, 1.0 / FAT_STEPS)}


def _stepped(volume: Array3D, step: float) -> Bytes3D:
    return np.rint(np.clip(volume / np.float32(step), 0.0, 255.0)).astype(np.uint8)
