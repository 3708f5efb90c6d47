"""`marrowmap calibrate PREDICTIONS REFERENCES`: what a bundle's scores are worth, written into it."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

from jsonargparse import ArgumentParser


def main(arguments: list[str] | None = None) -> int:
    """Fit a bundle's calibration on exams whose lesions are known, or check the one that it has.

    Args:
        arguments: Command line without the program's name; None takes the process's own.

    Returns:
        Exit code 0. Errors of the input are raised as `MarrowmapError`, wrong options exit 2.
    """
    from marrowmap.data.errors import SettingsError
    from marrowmap.models.bundle import load_bundle, revise_metadata
    from marrowmap.training.calibrate import check_calibration, fit_calibration, tally_folders

    options = _parser().parse_args(arguments)
    bundle = load_bundle(options.weights)
    tallies = tally_folders(options.predictions, options.references)
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


def _parser() -> ArgumentParser:
    parser = ArgumentParser(prog="marrowmap calibrate", description="Fit or check a bundle's calibration.")
    parser.add_argument("predictions", type=Path, help="Folder of infer outputs, named as the references.")
    parser.add_argument("references", type=Path, help="Folder of references with truth_lesions.nii.gz each.")
    parser.add_argument("--weights", type=Path, default=None, help="The bundle; the shipped one if left out.")
    parser.add_argument("--check", action="store_true", help="Only check, on exams it was not fitted on.")
    parser.add_argument("--kind", type=str, default="simulated", help="What the exams are, for reports.")
    parser.add_argument("--json", action="store_true", help="Print calibration and check as JSON.")
    parser.add_argument("--quiet", action="store_true", help="Nothing but the result, as always.")
    return parser


if __name__ == "__main__":
    sys.exit(main())
