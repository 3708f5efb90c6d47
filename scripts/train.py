"""`marrowmap train`: learn from simulated exams, from own annotated ones, or from both."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentError, ArgumentParser, Namespace

from marrowmap.data.errors import SettingsError
from marrowmap.training.config import TrainSettings
from marrowmap.training.search_settings import WorkerSettings

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
    settings = _settings(made)
    if options.propose is not None:
        print(_proposal(options.propose, settings), end="")
        return 0
    if options.suggest is not None:
        from marrowmap.training.suggest import as_table, suggest

        print(as_table(suggest(options.suggest)), end="")
        return 0

    if options.search is not None:
        return _search(options, settings, made.search_on, parser)

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


def _search(
    options: Namespace, settings: TrainSettings, workers: WorkerSettings, parser: ArgumentParser
) -> int:
    """Try drawn settings and print them, the best first; 1 where every trial failed."""
    from marrowmap.training.search import as_table, plan_trials, search
    from marrowmap.training.search_space import read_space
    from marrowmap.training.search_workers import do_trials

    space = read_space(options.search)
    trials = plan_trials(settings, space, options.trials, partial(_settings_of, parser))
    results = search(trials, partial(do_trials, settings=workers))
    print(as_table(results), end="")
    return 1 if all(result.problem for result in results) else 0


def _settings_of(parser: ArgumentParser, plain: Mapping[str, Any]) -> TrainSettings:
    """Return settings of words and numbers, checked as those of the command line are.

    Raises:
        SettingsError: If a value does not fit.
    """
    # Without it the parser would print its own usage and leave.
    parser.exit_on_error = False
    try:
        made = parser.instantiate(parser.parse_object(dict(plain)))
    except ArgumentError as error:
        found = " ".join(str(error).split())
        raise SettingsError(f"a drawn setting does not fit: {found}; correct the search space") from None
    return _settings(made)


def _settings(made: Namespace) -> TrainSettings:
    return TrainSettings(**{item.name: getattr(made, item.name) for item in fields(TrainSettings)})


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
    parser.add_argument(
        "--search",
        type=Path,
        metavar="SPACE",
        help="Hyper-parameter search: train --trials runs with settings drawn from this YAML, a line each "
        "(`optimiser.learning_rate: {low: 3.0e-4, high: 3.0e-3, log: true}`, `loss.lesion_voxel_weight: "
        "{choices: [10, 30]}`), each in a folder below --run; rank them by --watch. Repeated, it goes on.",
    )
    parser.add_argument("--trials", type=int, default=8, help="Runs of a search.")
    parser.add_class_arguments(WorkerSettings, "search_on")
    parser.add_argument("--quiet", action="store_true", help="No progress on stderr.")
    return parser


if __name__ == "__main__":
    sys.exit(main())
