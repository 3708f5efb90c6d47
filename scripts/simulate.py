"""`marrowmap simulate OUT`: exams that never were, with their truth."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import get_args

from jsonargparse import ArgumentParser

from marrowmap.data.simulate.cohort import CohortSettings, write_cohort
from marrowmap.data.simulate.effects import Effect
from marrowmap.data.simulate.evolution import Course
from marrowmap.data.simulate.scenarios import ScenarioName, write_scenario


def main(arguments: list[str] | None = None) -> int:
    """Simulate whole-body MRI exams and write them with their truth.

    Args:
        arguments: Command line without the program's name; None takes the process's own.

    Returns:
        Exit code 0. Wrong options exit 2; errors of the input are raised as `MarrowmapError`.
    """
    options = _parser().parse_args(arguments)
    if options.scenario:
        write_scenario(options.out, options.scenario, options.format)
        print(f"simulated scenario {options.scenario} as {options.format} in {options.out}")
        return 0
    settings = CohortSettings(
        exams=options.exams,
        seed=options.seed,
        pattern=options.pattern,
        format=options.format,
        follow_up=options.follow_up,
        anatomy=options.anatomy,
        vendor=options.vendor,
        enhanced=options.enhanced,
        nuisance=options.nuisance,
        effects=_names(options.effects),
        wildness=options.wildness,
    )
    for done, folder in enumerate(write_cohort(options.out, settings), start=1):
        if not options.quiet:
            print(f"{done}/{settings.exams} {folder}", file=sys.stderr, flush=True)
    first, last = settings.seeds[0], settings.seeds[-1]
    seeds = f"exam (seed {first})" if first == last else f"exams (seeds {first} to {last})"
    twice = f" with a {settings.follow_up} follow-up" if settings.follow_up else ""
    print(f"{settings.exams} simulated {seeds}{twice} as {settings.format} in {options.out}")
    return 0


def _parser() -> ArgumentParser:
    parser = ArgumentParser(prog="marrowmap simulate", description="Simulate whole-body MRI with its truth.")
    parser.add_argument("out", type=Path, help="New or empty folder; several exams go to OUT/exam_SEED each.")
    parser.add_class_arguments(CohortSettings, skip={"follow_up", "effects"})
    parser.add_argument(
        "--effects",
        help="The scanner's effects to show, apart by commas, all others absent; none for none; without "
        f"this they are drawn from the seed. There are {', '.join(Effect)}.",
    )
    parser.add_argument(
        "--follow-up",
        choices=get_args(Course),
        help="Scan each person a second time, after the disease has taken this course.",
    )
    parser.add_argument(
        "--scenario",
        choices=get_args(ScenarioName),
        help="One exam that a teaching text describes, with clinical.yaml beside; no seed or pattern.",
    )
    parser.add_argument("--quiet", action="store_true", help="No progress on stderr.")
    return parser


def _names(words: str | None) -> tuple[str, ...] | None:
    """Return the effects that an option names, None where it was not given."""
    if words is None:
        return None
    return tuple(word.strip() for word in words.split(",") if word.strip() not in ("", "none"))


if __name__ == "__main__":
    sys.exit(main())
