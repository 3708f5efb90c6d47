"""`marrowmap demo`: one simulated exam through the main job, from DICOM files to the report."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser

from marrowmap.data.errors import SettingsError
from marrowmap.data.seeds import TEST_SEEDS_FROM
from marrowmap.data.skeleton import Region
from marrowmap.inference.pipeline import InferSettings, infer
from marrowmap.models.bundle import load_bundle

#: A test seed: the shipped weights never saw this exam.
DEMO_SEED = TEST_SEEDS_FROM
DEMO_PATTERN = "focal"
REGION_LABELS = {region.key: region.label for region in Region}
#: Longer tables are for the report.
LESIONS_SHOWN = 12


def main(arguments: list[str] | None = None) -> int:
    """Simulate one exam as DICOM, find its lesions, print them and the path of the report.

    Args:
        arguments: Command line without the program's name; None takes the process's own.

    Returns:
        Exit code 0. Errors of the input are raised as `MarrowmapError`.
    """
    options = _parser().parse_args(arguments)
    if not options.quiet:
        logging.getLogger("marrowmap").setLevel(logging.INFO)
    settings = InferSettings(device=options.device, weights=options.weights)
    load_bundle(options.weights)  # refused before a minute goes into the simulation
    truth = simulated_study(options.out / "study")
    report = infer(options.out / "study" / "dicom", options.out / "report", settings)
    print("\n".join(demo_lines(report, truth)))
    print(f"\nReport: {(options.out / 'report' / 'report.html').resolve()}")
    return 0


def simulated_study(folder: Path) -> dict[str, Any]:
    """Simulate the demo exam into a folder, unless an earlier demo did; return its truth.

    Raises:
        SettingsError: If the folder holds something else.
    """
    truth_file = folder / "truth.json"
    if not truth_file.is_file():
        # Heavy and part of an extra: only the first demo in a folder needs it.
        from marrowmap.data.simulate.cohort import CohortSettings, write_cohort

        logging.getLogger("marrowmap").info("simulating one exam as DICOM in %s", folder)
        list(write_cohort(folder, CohortSettings(seed=DEMO_SEED, pattern=DEMO_PATTERN)))
    truth: dict[str, Any] = json.loads(truth_file.read_text(encoding="utf-8"))
    if truth.get("seed") != DEMO_SEED:
        raise SettingsError(f"need a new folder or one of an earlier demo, found another exam in {folder}")
    return truth


def demo_lines(report: dict[str, Any], truth: dict[str, Any]) -> list[str]:
    """Return what the demo prints: the truth, lesions, burden, pattern, and what two rules make of it."""
    counts, burden, pattern = report["counts"], report["burden"], report["pattern"]
    grade = pattern["diffuse_grade"] or "unknown"
    fraction = burden["marrow_fraction"]
    share = "" if fraction is None else f", {100 * fraction:.1f} % of the skeleton"
    lines = [
        f"Simulated exam, seed {truth['seed']}: {len(truth['lesions'])} lesions were put in.",
        f"Found: {counts['visible']} lesions, {counts['focal_5mm']} certain of 5 mm or more, "
        f"{counts['equivocal']} equivocal.",
        f"Tumour volume {burden['tumour_volume_ml']:.1f} ml{share}. "
        f"Pattern {pattern['label'].replace('_', ' ')}, diffuse grade {grade}.",
        "",
        *_lesion_table(report["lesions"]),
        "",
        f"Durie-Salmon PLUS: {_stage(report['staging']['durie_salmon_plus'])}",
        f"IMWG event on MRI: {_stage(report['staging']['imwg_mri_mde'])}",
    ]
    seconds = report["run"]["seconds"]
    timing = ", ".join(f"{name.replace('_', ' ')} {value:.1f}" for name, value in seconds.items())
    return [*lines, "", f"Seconds: {timing}; {sum(seconds.values()):.1f} in all."]


def _lesion_table(lesions: list[dict[str, Any]]) -> list[str]:
    if not lesions:
        return ["No lesion was found; that is a normal result."]
    rows = [f"{'id':>3}  {'mm':>5}  {'ml':>6}  {'ADC':>5}  {'prob.':>5}  {'certainty':<9}  region"]
    for lesion in lesions[:LESIONS_SHOWN]:
        adc = lesion["adc_um2_per_s"]["median"]
        rows.append(
            f"{lesion['id']:>3}  {lesion['longest_diameter_mm']:>5.1f}  {lesion['volume_ml']:>6.2f}  "
            f"{'-' if adc is None else format(adc, '.0f'):>5}  {lesion['probability']:>5.2f}  "
            f"{lesion['certainty']:<9}  {REGION_LABELS.get(lesion['region'] or '', 'away from bone')}"
        )
    if len(lesions) > LESIONS_SHOWN:
        rows.append(f"     ... and {len(lesions) - LESIONS_SHOWN} smaller ones in the report")
    return rows


def _stage(result: dict[str, Any]) -> str:
    if result["value"] is None:
        return f"unknown (possible: {', '.join(map(str, result.get('candidates', []))) or 'none'})"
    return f"{result['value']} ({result['status'].replace('_', ' ')})"


def _parser() -> ArgumentParser:
    parser = ArgumentParser(prog="marrowmap demo", description="The main job on one simulated exam.")
    parser.add_argument("--out", type=Path, default=Path("marrowmap-demo"), help="For study and report.")
    parser.add_argument("--weights", type=Path, help="Folder of a bundle; the shipped one if left out.")
    parser.add_argument("--device", type=str, default="auto", help="auto, cpu, cuda or cuda:n.")
    parser.add_argument("--quiet", action="store_true", help="No progress on stderr.")
    return parser


if __name__ == "__main__":
    sys.exit(main())
