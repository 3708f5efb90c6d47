"""`marrowmap report OUT`: the page again, in English, French or German."""

from __future__ import annotations

import sys
from pathlib import Path

from jsonargparse import ArgumentParser

from marrowmap.inference.report.words_catalog import LANGUAGE_NAMES
from marrowmap.inference.rerender import render_again


def main(arguments: list[str] | None = None) -> int:
    """Write the report of an output folder again.

    Args:
        arguments: Command line without the program's name; None takes the process's own.

    Returns:
        Exit code 0. Errors of the input are raised as `MarrowmapError`.
    """
    options = _parser().parse_args(arguments)
    print(render_again(options.out, options.language))
    return 0


def _parser() -> ArgumentParser:
    parser = ArgumentParser(prog="marrowmap report", description="Write report.html again.")
    parser.add_argument("out", type=Path, help="Folder that infer wrote.")
    names = ", ".join(f"{code} ({name})" for code, name in LANGUAGE_NAMES.items())
    parser.add_argument("--language", type=str, default=None, help=f"{names}; as it is when left out.")
    parser.add_argument("--quiet", action="store_true", help="No progress on stderr.")
    return parser


if __name__ == "__main__":
    sys.exit(main())
