"""`marrowmap train`: learn from simulated exams, from own annotated ones, or from both."""

from __future__ import annotations

import logging
import sys
from dataclasses import fields
from pathlib import Path

from jsonargparse import ArgumentParser

from marrowmap.training.config import TrainSettings

#: What a shell reports of a process that SIGTERM ended: 128 and the signal's number.
EXIT_TERMINATED = 143


def main(arguments: list[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: Command line without the program's name; None takes the process's own.

    Returns:
        Exit code 0, or 143 where SIGTERM ended the run before its last step (its checkpoint is written).
        Errors of the input are raised as `MarrowmapError`, wrong options exit 2.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    if not options.quiet:
        logging.getLogger("marrowmap").setLevel(logging.INFO)
    made = parser.instantiate(options)
    settings = TrainSettings(**{item.name: getattr(made, item.name) for item in fields(TrainSettings)})
    if options.propose is not None:
        print(_proposal(options.propose, settings), end="")
        return 0
    if options.suggest is not None:
        from marrowmap.training.suggest import as_table, suggest

        print(as_table(suggest(options.suggest)), end="")
        return 0

    # After the options: torch takes seconds to load.
    from marrowmap.training.ranks import is_first_process
    from marrowmap.training.stop import RunStopped
    from marrowmap.training.train import train

    try:
        checkpoint = train(settings)
    except RunStopped as stopped:
        if is_first_process():
            print(f"marrowmap: {stopped}", file=sys.stderr)
        return EXIT_TERMINATED
    if not is_first_process():
        return 0
    print(f"exams prepared in {settings.stream.cache}" if checkpoint is None else f"trained: {checkpoint}")
    return 0


def _proposal(data: Path, settings: TrainSettings) -> str:
    from marrowmap.training.fingerprint import fingerprint
    from marrowmap.training.propose import free_memory, propose
    from marrowmap.training.train import bundle_of

    bundle = None if settings.init_from is None else bundle_of(settings.init_from)
    return propose(fingerprint(data), data, settings, free_memory(settings.device), bundle)


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="marrowmap train",
        description="Train the network on simulated exams, on own annotated ones (--stream.annotated), or on "
        "both. Every field below is an option and a YAML key.",
    )
    parser.add_argument("--config", action="config", help="YAML with any of the fields below.")
    parser.add_class_arguments(TrainSettings)
    parser.add_argument(
        "--propose",
        type=Path,
        metavar="DATA",
        help="Train nothing: measure own annotated exams and print spacing, patch and batch as YAML, "
        "each with its reason. With --init_from, spacing and network stay those of the bundle.",
    )
    parser.add_argument(
        "--suggest",
        type=Path,
        metavar="OUTPUTS",
        help="Train nothing: rank outputs of `marrowmap infer` by what their findings leave open, the most "
        "doubtful first: what to annotate next.",
    )
    parser.add_argument("--quiet", action="store_true", help="No progress on stderr.")
    return parser


if __name__ == "__main__":
    sys.exit(main())
