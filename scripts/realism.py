"""`marrowmap realism OUT`: simulated exams beside published figures, as a page."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from jsonargparse import ArgumentParser

from marrowmap.data.simulate.realism import RealismSettings, write_realism_report


def main(arguments: list[str] | None = None) -> int:
    """Measure simulated exams and write the page.

    Args:
        arguments: Command line without the program's name; None takes the process's own.

    Returns:
        Exit code 0. Wrong options exit 2; errors of the input are raised as `MarrowmapError`.
    """
    parser = ArgumentParser(
        prog="marrowmap realism", description="Hold simulated exams against published figures."
    )
    parser.add_argument("out", type=Path, help="Folder for realism.html and realism.json.")
    parser.add_class_arguments(RealismSettings)
    parser.add_argument("--quiet", action="store_true", help="No progress on stderr.")
    options = parser.parse_args(arguments)
    if not options.quiet:
        logging.getLogger("marrowmap.data.simulate").setLevel(logging.INFO)
    rows = write_realism_report(options.out, RealismSettings(exams=options.exams, seed=options.seed))
    seen = [row for row in rows if row.verdict != "not seen"]
    passed = sum(row.verdict == "pass" for row in seen)
    page = options.out / "realism.html"
    print(f"{passed} of {len(seen)} figures met by {options.exams} simulated exams; {page}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
