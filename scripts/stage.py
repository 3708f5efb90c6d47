"""`marrowmap stage`: the clinical rules alone, on findings and a clinical file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from jsonargparse import ArgumentParser

from marrowmap.inference.clinical import ClinicalInput, read_clinical
from marrowmap.inference.staging.all_rules import stage_all
from marrowmap.inference.staging.imaging import read_imaging
from marrowmap.inference.staging.result import StageResult

FINDINGS_HELP = (
    "report.json, the folder that holds it, or a hand-written subset in JSON or YAML: at least lesions[] "
    "with longest_diameter_mm and certainty, and pattern.diffuse_grade"
)
CLINICAL_HELP = "YAML or JSON of clinical fields, or a FHIR Bundle; without it every field is unknown"


def summary(results: Mapping[str, StageResult]) -> str:
    """Return the known stages on one line, and for the others what is still possible."""
    parts = []
    for key, result in results.items():
        if result.status == "not_applicable":
            continue
        open_values = "|".join(map(_word, result.candidates))
        known = f"{open_values}{result.extras.get('suffix') or ''}"
        text = known if result.value is not None else f"unknown ({open_values})"
        parts.append(f"{key} {text}{' (imaging only)' if result.status == 'imaging_only' else ''}")
    return "; ".join(parts)


def _word(value: str | bool) -> str:
    """Return a value as JSON would name it, without quotes."""
    return str(value).lower() if isinstance(value, bool) else value


def main(arguments: list[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: Command line without the program's name; None takes the process's own.

    Returns:
        Exit code 0; errors of the input are raised as `MarrowmapError`, wrong options exit 2.
    """
    parser = ArgumentParser(prog="marrowmap stage", description="Apply every staging rule, without images.")
    parser.add_argument("--findings", type=Path, required=True, help=FINDINGS_HELP)
    parser.add_argument("--clinical", type=Path, help=CLINICAL_HELP)
    parser.add_argument("--json", action="store_true", help="Print the `staging` object of report.json.")
    parser.add_argument("--quiet", action="store_true", help="Nothing but the result, as always.")
    options = parser.parse_args(arguments)
    clinical = read_clinical(options.clinical) if options.clinical else ClinicalInput()
    results = stage_all(read_imaging(options.findings), clinical)
    if options.json:
        print(json.dumps({key: result.to_json() for key, result in results.items()}, indent=2))
    else:
        print(summary(results))
    return 0
