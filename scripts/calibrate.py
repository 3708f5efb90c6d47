"""`marrowmap calibrate`: what a bundle's scores are worth, from exams whose lesions are known."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from jsonargparse import ArgumentParser, Namespace

from marrowmap.data.errors import SettingsError
from marrowmap.data.seeds import TEST_SEEDS_FROM, VALIDATION_SEEDS, require_validation_seeds

if TYPE_CHECKING:
    from marrowmap.models.bundle import Bundle
    from marrowmap.models.engine import Engine
    from marrowmap.training.calibrate import Tally

#: The first validation seeds choose the threshold; calibration takes others.
FIRST_SEED = VALIDATION_SEEDS.start + 100


def main(arguments: list[str] | None = None) -> int:
    """Fit a bundle's calibration on exams whose lesions are known, or check the one that it has.

    Args:
        arguments: Command line without the program's name; None takes the process's own.

    Returns:
        Exit code 0. Errors of the input are raised as `MarrowmapError`, wrong options exit 2.
    """
    from marrowmap.models.bundle import load_bundle, revise_metadata
    from marrowmap.training.calibrate import check_calibration, fit_calibration

    options = _parser().parse_args(arguments)
    bundle = load_bundle(options.weights)
    tallies = list(_tallies(options, bundle))
    calibration = bundle.calibration
    if not options.check:
        calibration = fit_calibration(tallies, f"{len(tallies)} {options.kind} exams")
        revise_metadata(bundle, calibration=calibration)
    if calibration is None:
        raise SettingsError("need a calibrated bundle to check, found one without; leave out --check")
    check = check_calibration(tallies, calibration)
    if options.json:
        print(json.dumps({"calibration": asdict(calibration), "check": asdict(check)}, indent=2))
        return 0
    verb = "checked on" if options.check else "fitted on"
    print(
        f"{verb} {check.exams} {options.kind} exams: the 90 % interval holds the count in "
        f"{100 * check.count:.0f} % and the volume in {100 * check.volume:.0f} % of them"
    )
    return 0


def _tallies(options: Namespace, bundle: Bundle) -> Iterator[Tally]:
    """Yield one tally an exam: of folders that are there, or of exams simulated and read now."""
    from marrowmap.training.calibrate import tally_folders

    if options.predictions and options.references:
        yield from tally_folders(options.predictions, options.references)
        return
    if not options.simulated:
        raise SettingsError("need PREDICTIONS and REFERENCES, or --simulated N exams to make and read now")
    first = options.first_seed or (TEST_SEEDS_FROM if options.check else FIRST_SEED)
    seeds = range(first, first + options.simulated)
    if not options.check:
        require_validation_seeds(seeds)
    elif first < TEST_SEEDS_FROM:
        raise SettingsError(f"need test seeds from {TEST_SEEDS_FROM} for a check, found {first}")
    from marrowmap.models.engine import open_engine

    engine = open_engine(bundle, options.device, options.threads)
    for done, seed in enumerate(seeds, start=1):
        yield simulated_tally(seed, bundle, engine)
        if not options.quiet:
            print(f"{done}/{len(seeds)} simulated exams read", file=sys.stderr, flush=True)


def simulated_tally(seed: int, bundle: Bundle, engine: Engine) -> Tally:
    """Simulate one exam, read it as `infer` would but for pictures and files, and tally what was found."""
    from marrowmap.data.grid import resample_nearest
    from marrowmap.data.model_input import to_model_input
    from marrowmap.data.simulate.exam import simulate_exam, to_exam
    from marrowmap.inference.describe import describe
    from marrowmap.inference.segment import segment
    from marrowmap.training.calibrate import focal_ids, tally

    simulated = simulate_exam(seed)
    exam, truth = to_exam(simulated), simulated.truth
    model_input = to_model_input(exam, bundle.input)
    found = describe(
        segment(model_input, engine), model_input, exam, lesion_threshold=bundle.lesion_threshold
    )
    known = resample_nearest(truth.lesion_labels, truth.affine_ras_mm, found.grid)
    focal = focal_ids(known, found.grid.spacing_mm, [vars(lesion) for lesion in truth.lesions])
    listed = [vars(lesion) for lesion in found.lesions]
    return tally(found.lesion_labels, listed, known, focal, found.grid.voxel_ml)


def _parser() -> ArgumentParser:
    parser = ArgumentParser(prog="marrowmap calibrate", description="Fit or check a bundle's calibration.")
    parser.add_argument("predictions", nargs="?", type=Path, help="Infer outputs, named as the references.")
    parser.add_argument("references", nargs="?", type=Path, help="References with truth_lesions.nii.gz each.")
    parser.add_argument("--simulated", type=int, default=0, help="Simulate and read so many exams instead.")
    parser.add_argument("--first_seed", type=int, default=0, help="Of the simulated exams; 0 for the usual.")
    parser.add_argument("--weights", type=Path, default=None, help="The bundle; the shipped one if left out.")
    parser.add_argument("--check", action="store_true", help="Only check, on exams it was not fitted on.")
    parser.add_argument("--kind", type=str, default="simulated", help="What the exams are, for reports.")
    parser.add_argument("--device", type=str, default="auto", help="auto, cpu, cuda or cuda:n.")
    parser.add_argument("--threads", type=int, default=None, help="CPU threads of the engine.")
    parser.add_argument("--json", action="store_true", help="Print calibration and check as JSON.")
    parser.add_argument("--quiet", action="store_true", help="No progress on stderr.")
    return parser


if __name__ == "__main__":
    sys.exit(main())
