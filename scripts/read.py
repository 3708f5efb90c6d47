"""`marrowmap read STUDY`: what was recognised, and why anything was left out."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from marrowmap.data.errors import MarrowmapError, SettingsError
from marrowmap.data.nifti import write_exam_nifti
from marrowmap.data.read import SeriesDescription, StudyDescription, describe_study, read_exam
from marrowmap.data.selection import Choices


def main(arguments: list[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: Words after `marrowmap read`; None takes them from the command line.

    Returns:
        0 when done, 2 for wrong options, 3 when the study cannot be processed.
    """
    options = _parser().parse_args(arguments)
    study = Path(options.study)
    try:
        choices = _choices(options)
        description = describe_study(study, choices, options.study_uid or "")
        written = []
        if options.nifti:
            exam = read_exam(study, choices, options.study_uid or "")
            written = [str(path) for path in write_exam_nifti(exam, Path(options.nifti))]
            warnings = [{"code": w.code, "text": w.text} for w in exam.warnings]
        else:
            warnings = []
    except SettingsError as error:
        print(f"marrowmap read: {error}", file=sys.stderr)
        return 2
    except MarrowmapError as error:
        print(f"marrowmap read: {error}", file=sys.stderr)
        return 3
    if options.json:
        print(json.dumps(description.to_json() | {"nifti": written, "warnings": warnings}, indent=2))
    else:
        print("\n".join([*_lines(description), *(w["text"] for w in warnings), *written]))
    return 0


def _parser() -> ArgumentParser:
    """Return the command's options."""
    parser = ArgumentParser(prog="marrowmap read", description="Say what a study holds and how it was read.")
    parser.add_argument(
        "study", type=str, help="DICOM folder, zip, or folder of NIfTI files named by sequence"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--nifti", type=str | None, default=None, help="write the composed volumes here")
    parser.add_argument(
        "--study-uid", type=str | None, default=None, help="which study, where there are several"
    )
    for name, words in (("t1", "T1"), ("stir", "STIR"), ("dwi", "diffusion"), ("adc", "ADC")):
        parser.add_argument(
            f"--{name}-series", type=int, nargs="+", default=[], help=f"series numbers to take for {words}"
        )
    return parser


def _choices(options: Namespace) -> Choices:
    """Return the series that the user names."""
    return Choices(
        t1=tuple(options.t1_series),
        stir=tuple(options.stir_series),
        dwi=tuple(options.dwi_series),
        adc=tuple(options.adc_series),
    )


def _lines(description: StudyDescription) -> list[str]:
    """Return the description as lines for a person."""
    info = description.study
    field = f"{info.field_strength_t:g} T" if info.field_strength_t else "unknown field"
    used = sum(series.is_used for series in description.series)
    lines = [
        f"study of {info.study_date or 'unknown date'}, {info.vendor or 'unknown vendor'}, {field}: "
        f"{used} of {len(description.series)} series used"
    ]
    for series in description.series:
        lines += _series_lines(series)
    missing = ", ".join(description.missing) or "none"
    return [*lines, f"missing: {missing}", f"files that are not DICOM: {description.files_passed_over}"]


def _series_lines(series: SeriesDescription) -> list[str]:
    """Return one series as lines: used or left out, and why."""
    lines = [f"{series.number:>6}  {series.description or '(no description)'}  [{series.files} files]"]
    for part in series.parts:
        b_value = "" if part.b_value_s_per_mm2 is None else f" b{part.b_value_s_per_mm2:g}"
        size = " x ".join(map(str, part.shape))
        spacing = " x ".join(f"{s:.2f}" for s in part.spacing_mm)
        repeats = f", mean of {part.repeats}" if part.repeats > 1 else ""
        place = f"  {size} at {spacing} mm {part.orientation}" if part.shape else ""
        lines.append(f"        {(part.role or 'left out') + b_value:<14}{part.reason}{place}{repeats}")
    return lines
