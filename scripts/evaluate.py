"""`marrowmap evaluate PREDICTIONS REFERENCES`: how good predictions are."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from jsonargparse import ArgumentParser


def main(arguments: list[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: Command line without the program's name; None takes the process's own.

    Returns:
        Exit code 0. Errors of the input are raised as `MarrowmapError`, wrong options exit 2.
    """
    parser = ArgumentParser(
        prog="marrowmap evaluate", description="Compare outputs of infer with references of the same names."
    )
    parser.add_argument("predictions", type=Path, help="Folder of outputs of infer, or one output.")
    parser.add_argument("references", type=Path, help="Folder of references (see simulate), or one.")
    parser.add_argument("--json", action="store_true", help="Print everything as JSON.")
    options = parser.parse_args(arguments)

    from marrowmap.training.evaluate import as_json, evaluate, table

    evaluation = evaluate(options.predictions, options.references)
    print(json.dumps(as_json(evaluation), indent=2) if options.json else table(evaluation))
    return 0


if __name__ == "__main__":
    sys.exit(main())
