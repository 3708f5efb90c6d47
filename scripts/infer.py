"""`marrowmap infer STUDY OUT`: the main job."""

from __future__ import annotations

import json
import logging
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser, Namespace

from marrowmap.inference.findings_json import to_json
from marrowmap.inference.pipeline import InferSettings, infer, plan
from marrowmap.scripts.study_options import add_study_options, chosen_series


def main(arguments: list[str] | None = None) -> int:
    """Find, measure and stage the marrow lesions of a whole-body MRI study.

    Args:
        arguments: Command line without the program's name; None takes the process's own.

    Returns:
        Exit code 0, also when nothing was found. Errors of the input are raised as `MarrowmapError`.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    if not options.quiet:
        logging.getLogger("marrowmap").setLevel(logging.INFO)
    settings = _settings(parser.instantiate(options))
    if options.dry_run:
        print(json.dumps(to_json(plan(options.study, settings)), indent=2))
        return 0
    report = infer(options.study, options.out, settings)
    print(json.dumps(report, indent=2) if options.json else summary(report, options.out))
    return 0


def summary(report: dict[str, Any], out: Path) -> str:
    """Return the one result line."""
    counts, burden, pattern = report["counts"], report["burden"], report["pattern"]
    visible = counts["visible"]
    lesions = "no lesion" if visible == 0 else "1 lesion" if visible == 1 else f"{visible} lesions"
    return (
        f"{lesions} ({counts['focal_5mm']} certain of 5 mm or more, {counts['equivocal']} equivocal), "
        f"{burden['tumour_volume_ml']:.1f} ml, pattern {pattern['label'].replace('_', ' ')}, "
        f"diffuse grade {pattern['diffuse_grade'] or 'unknown'}; {out / 'report.html'}"
    )


def _settings(made: Namespace) -> InferSettings:
    """Return the settings that the options name."""
    names = {item.name for item in fields(InferSettings)} - {"series"}
    return InferSettings(series=chosen_series(made), **{name: made[name] for name in names})


def _parser() -> ArgumentParser:
    parser = ArgumentParser(prog="marrowmap infer", description="Lesions, burden and stage of a study.")
    parser.add_argument("study", type=Path, help="DICOM folder, zip, or folder of NIfTI named by sequence.")
    parser.add_argument("out", type=Path, help="Folder for the report and maps; whole or not at all.")
    parser.add_class_arguments(InferSettings, skip={"series", "study_uid"})
    add_study_options(parser)
    parser.add_argument("--dry-run", action="store_true", help="Print what would be done; write nothing.")
    parser.add_argument("--json", action="store_true", help="Print the whole report as JSON.")
    parser.add_argument("--quiet", action="store_true", help="No progress on stderr.")
    return parser


if __name__ == "__main__":
    sys.exit(main())
