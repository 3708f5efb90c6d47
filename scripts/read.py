"""`marrowmap read STUDY`: what was recognised, and why anything was left out."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser, Namespace

from marrowmap.data.errors import MarrowmapError, SettingsError, StudyError
from marrowmap.data.levels import coverage_by_level
from marrowmap.data.read import Inspection, SeriesDescription, StudyDescription, inspect_study
from marrowmap.scripts.study_options import add_study_options, chosen_series


def main(arguments: list[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: Words after `marrowmap read`; None takes them from the command line.

    Returns:
        0 when done, also when the study is described but could not be used; 2 for wrong options, 3 when the
        study cannot be read or written.
    """
    options = _parser().parse_args(arguments)
    study, study_uid = Path(options.study), options.study_uid
    try:
        if options.deidentify:
            return _deidentify(study, Path(options.deidentify), study_uid, as_json=options.json)
        found = inspect_study(study, chosen_series(options), study_uid)
        written = _write_nifti(found, options)
    except SettingsError as error:
        print(f"marrowmap read: {error}", file=sys.stderr)
        return 2
    except MarrowmapError as error:
        print(f"marrowmap read: {error}", file=sys.stderr)
        return 3
    print(json.dumps(_json(found, written), indent=2) if options.json else _text(found, written))
    return 0


def _parser() -> ArgumentParser:
    """Return the command's options."""
    parser = ArgumentParser(prog="marrowmap read", description="Say what a study holds and how it was read.")
    parser.add_argument(
        "study",
        type=str,
        help="DICOM folder, zip, or folder of NIfTI files (named by sequence, BIDS, nnU-Net)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--nifti", type=str | None, default=None, help="write the composed volumes here")
    parser.add_argument(
        "--layout",
        choices=["sequence", "bids", "nnunet", "network"],
        default="sequence",
        help="how --nifti names them: by sequence, as a BIDS data set, as nnU-Net raw data, or one file "
        "of the channels that the network sees",
    )
    parser.add_argument(
        "--deidentify",
        type=str | None,
        default=None,
        help="write the study here without what identifies the person; geometry and b-values are kept",
    )
    add_study_options(parser)
    return parser


def _deidentify(study: Path, out: Path, study_uid: str, *, as_json: bool) -> int:
    """Write the study without its person and say what was written."""
    from marrowmap.data.deidentify import deidentify_study

    done = deidentify_study(study, out, study_uid)
    if as_json:
        warnings = [{"code": w.code, "text": w.text} for w in done.warnings]
        print(
            json.dumps({"files": len(done.files), "left_out": done.left_out, "warnings": warnings}, indent=2)
        )
        return 0
    print(f"{len(done.files)} files without the person's data in {out}")
    for reason, count in done.left_out.items():
        print(f"left out {count} files: {reason}")
    for warning in done.warnings:
        print(f"warning: {warning.text}", file=sys.stderr)
    return 0


def _write_nifti(found: Inspection, options: Namespace) -> list[str]:
    """Write the volumes where asked for; return the files.

    Raises:
        StudyError: If they are asked for and the study was refused.
    """
    if not options.nifti:
        return []
    from marrowmap.data.nifti_layouts import write_exam

    if found.exam is None:
        raise StudyError(found.refusal)
    return [str(path) for path in write_exam(found.exam, Path(options.nifti), options.layout)]


def _json(found: Inspection, written: list[str]) -> dict[str, Any]:
    """Return all of it as plain data."""
    warnings = found.exam.warnings if found.exam else ()
    return found.description.to_json() | {
        "nifti": written,
        "coverage": coverage_by_level(found.exam) if found.exam else None,
        "warnings": [{"code": w.code, "text": w.text} for w in warnings],
        "refusal": found.refusal or None,
    }


def _text(found: Inspection, written: list[str]) -> str:
    """Return all of it as lines for a person."""
    lines = _lines(found.description)
    if found.exam is not None:
        seen = coverage_by_level(found.exam)
        lines.append("coverage: " + ", ".join(f"{name} {state}" for name, state in seen.items()))
        lines += [f"warning: {w.text}" for w in found.exam.warnings]
    else:
        lines.append(f"cannot be used: {found.refusal}")
    return "\n".join([*lines, *written])


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
