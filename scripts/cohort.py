"""`marrowmap cohort STUDIES OUT`: thousands of exams, on this machine or a cluster."""

from __future__ import annotations

import json
import logging
import os
import sys
from contextlib import redirect_stdout
from dataclasses import fields
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser

from marrowmap.inference.cohort.run import run_cohort
from marrowmap.inference.cohort.settings import CohortSettings


def main(arguments: list[str] | None = None) -> int:
    """Read every exam of a cohort; stopped anywhere, the same command goes on.

    Args:
        arguments: Command line without the program's name; None takes the process's own.

    Returns:
        Exit code 0, also when exams were refused: they are rows. Errors of the cohort itself are raised as
        `MarrowmapError`.
    """
    import pyarrow.parquet  # noqa: F401  # without it nothing could be written in the end: say so now

    parser = _parser()
    options = parser.parse_args(arguments)
    if not options.quiet:
        logging.getLogger("marrowmap.inference.cohort").setLevel(logging.INFO)
    made = parser.instantiate(options)
    settings = CohortSettings(**{item.name: getattr(made, item.name) for item in fields(CohortSettings)})
    say = (lambda words: None) if options.quiet else (lambda words: print(words, file=sys.stderr, flush=True))
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere if options.quiet else sys.stderr):
        # Ray prints what it thinks of a lost worker; stdout is for the result line alone.
        found = run_cohort(options.studies, options.out, settings, say=say)
    print(json.dumps(found) if options.json else summary(found, options.out))
    return 0


def summary(found: dict[str, Any], out: Path) -> str:
    """Return the one result line."""
    states = ", ".join(f"{number} {state}" for state, number in found["by_state"].items())
    repeated = f", {found['repeated']} listed twice" if found["repeated"] else ""
    return (
        f"{found['exams']} exams ({states}){repeated}, {found['rows']['lesions']} lesions; "
        f"{out / 'cohort.html'}"
    )


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="marrowmap cohort",
        description="Every exam of a cohort: tables and a page. docs/cohort.md explains them.",
    )
    parser.add_argument(
        "studies", help="Folder of studies, list of them (.csv, .txt), or https://archive/dicom-web?QUERY."
    )
    parser.add_argument("out", type=Path, help="Folder of the cohort; what is done there is not done again.")
    parser.add_class_arguments(CohortSettings)
    parser.add_argument("--json", action="store_true", help="Print the counts as JSON.")
    parser.add_argument("--quiet", action="store_true", help="No progress on stderr.")
    return parser


if __name__ == "__main__":
    sys.exit(main())
