"""`marrowmap compare BASELINE_OUT FOLLOWUP_OUT`: what became of every lesion, and the response category."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

from jsonargparse import ArgumentParser

from marrowmap.inference.response.compare import CompareSettings
from marrowmap.inference.response.files import compare_folders


def main(arguments: list[str] | None = None) -> int:
    """Match the lesions of two exams and say how the disease responds.

    Args:
        arguments: Command line without the program's name; None takes the process's own.

    Returns:
        Exit code 0, also when nothing changed. Errors of the input are raised as `MarrowmapError`.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    if not options.quiet:
        logging.getLogger("marrowmap").setLevel(logging.INFO)
    settings = parser.instantiate(options).settings
    response = compare_folders(options.baseline, options.followup, options.earlier, settings)
    print(json.dumps(response, indent=2) if options.json else f"{response['text']}; {options.followup}")
    return 0


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="marrowmap compare",
        description="Compare two exams of one person. Writes response.json and trend.svg into FOLLOWUP.",
    )
    parser.add_argument("baseline", type=Path, help="Folder that infer wrote for the earlier exam.")
    parser.add_argument("followup", type=Path, help="Folder that infer wrote for the later exam.")
    parser.add_argument(
        "--earlier",
        type=Path,
        nargs="+",
        default=[],
        help="Still earlier exams, oldest first, for the trend.",
    )
    parser.add_class_arguments(CompareSettings, "settings")
    parser.add_argument("--json", action="store_true", help="Print the whole response as JSON.")
    parser.add_argument("--quiet", action="store_true", help="No progress on stderr.")
    return parser


if __name__ == "__main__":
    sys.exit(main())
