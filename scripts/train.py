"""`marrowmap train`: learn from simulated exams, from own annotated ones, or from both."""

from __future__ import annotations

import logging
import sys
from dataclasses import fields

from jsonargparse import ArgumentParser

from marrowmap.training.config import TrainSettings


def main(arguments: list[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: Command line without the program's name; None takes the process's own.

    Returns:
        Exit code 0. Errors of the input are raised as `MarrowmapError`, wrong options exit 2.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    if not options.quiet:
        logging.getLogger("marrowmap").setLevel(logging.INFO)
    made = parser.instantiate(options)
    settings = TrainSettings(**{item.name: getattr(made, item.name) for item in fields(TrainSettings)})

    from marrowmap.training.train import train  # after the options: torch takes seconds to load

    checkpoint = train(settings)
    print(f"exams prepared in {settings.stream.cache}" if checkpoint is None else f"trained: {checkpoint}")
    return 0


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="marrowmap train",
        description="Train the network on simulated exams, on own annotated ones (--stream.annotated), or on "
        "both. Every field below is an option and a YAML key.",
    )
    parser.add_argument("--config", action="config", help="YAML with any of the fields below.")
    parser.add_class_arguments(TrainSettings)
    parser.add_argument("--quiet", action="store_true", help="No progress on stderr.")
    return parser


if __name__ == "__main__":
    sys.exit(main())
