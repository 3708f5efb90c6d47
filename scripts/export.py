"""`marrowmap export RUN OUT`: a bundle from a training run."""

from __future__ import annotations

import logging
import sys
from dataclasses import fields
from pathlib import Path

from jsonargparse import ArgumentParser


def main(arguments: list[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: Command line without the program's name; None takes the process's own.

    Returns:
        Exit code 0. Errors of the input are raised as `MarrowmapError`, wrong options exit 2.
    """
    from marrowmap.training.export import ExportSettings, export

    parser = ArgumentParser(prog="marrowmap export", description="Write a run's weights as a bundle.")
    parser.add_argument("run", type=Path, help="Folder of the training run.")
    parser.add_argument("out", type=Path, help="Folder of the bundle.")
    parser.add_class_arguments(ExportSettings)
    parser.add_argument("--quiet", action="store_true", help="No progress on stderr.")
    options = parser.parse_args(arguments)
    if not options.quiet:
        logging.getLogger("marrowmap").setLevel(logging.INFO)
    made = parser.instantiate(options)
    settings = ExportSettings(**{item.name: getattr(made, item.name) for item in fields(ExportSettings)})
    bundle = export(options.run, options.out, settings)
    print(f"bundle {bundle.name} {bundle.version}, threshold {bundle.lesion_threshold:g}: {bundle.folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
