"""A cohort whose analysis is a stand-in: quick, and its findings follow from the study's one file.

Run as a program it is the driver that the tests kill: `stand_in.py STUDIES OUT WORKERS SECONDS [ATTEMPTS]`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any

from marrowmap.data.errors import StudyError
from marrowmap.inference.cohort.run import Model, run_cohort
from marrowmap.inference.cohort.settings import CohortSettings

MODEL = Model(name="stand-in 1", notes=("It learnt nothing.",))


class StandIn:
    """Reads `exam.json` of a study and finds as many lesions as it says."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def infer(self, study: Path, out: Path, *, clinical: Path | None, study_uid: str) -> dict[str, Any]:
        time.sleep(self._seconds)
        said = json.loads((study / "exam.json").read_text())
        if said.get("kills"):
            os._exit(9)
        if said.get("defect"):
            raise KeyError("Doe^Jane")
        if said.get("refusal"):
            raise StudyError(said["refusal"])
        known = json.loads(clinical.read_text()) if clinical else {}
        report = make_report(said["lesions"], known)
        out.mkdir(exist_ok=True)
        (out / "report.json").write_text(json.dumps(report))
        with (out.parent / f"{out.name}.calls").open("a") as calls:  # how often it was really done
            calls.write(".")
        return report

    def compare(self, baseline: Path, follow_up: Path, earlier: list[Path]) -> dict[str, Any]:
        before, after = (json.loads((o / "report.json").read_text()) for o in (baseline, follow_up))
        volumes = [report["burden"]["tumour_volume_ml"] for report in (before, after)]
        change = 100 * (volumes[1] / volumes[0] - 1) if volumes[0] else None
        category = 3 if volumes[0] == volumes[1] else 5 if volumes[1] > volumes[0] else 1
        return {
            "patient": category,
            "worst": category,
            "direction": "stable" if category == 3 else "mixed",
            "tumour_volume_change": {"change_percent": change},
            "earlier": len(earlier),
        }


def make_report(lesions: int, clinical: dict[str, Any] | None = None) -> dict[str, Any]:
    """The parts of a report that a cohort looks at: lesions of 2 ml each."""
    adc = {"mean": 800.0, "median": 800.0, "p10": 700.0, "p90": 900.0}
    lesion = {
        "region": "femora",
        "level": None,
        "kind": "focal",
        "status": "active",
        "certainty": "certain",
        "suspected_benign": None,
        "probability": 0.9,
        "volume_ml": 2.0,
        "longest_diameter_mm": 15.0,
        "diameter_uncertainty_mm": 2.0,
        "perpendicular_diameter_mm": 12.0,
        "centroid_ras_mm": [1.0, 2.0, 3.0],
        "adc_um2_per_s": adc,
        "dwi_to_muscle": 4.0,
        "fat_fraction": None,
    }
    rule = {"status": "complete", "missing": [], "source": "a paper", "probabilities": {}}
    is_high = lesions >= 7
    albumin = (clinical or {}).get("albumin_g_per_dl")
    return {
        "study": {
            "sequences": ["adc", "dwi_high", "t1"],
            "missing_sequences": ["stir"],
            "coverage": {"skull": "absent", "femora": "complete"},
            "red_marrow_seen": 0.8,
            "warnings": [{"code": "low_signal", "text": "left out DOE^JANE"}],
            "vendor": "SIEMENS Healthineers",
            "patient_sex": "F",
            "patient_age_years": 93.5,
            "field_strength_t": 1.5,
        },
        "model": {"engine": "none", "device": "cpu"},
        "lesions": [{**lesion, "id": number + 1} for number in range(lesions)],
        "counts": {"visible": lesions, "active": lesions, "focal_5mm": lesions, "equivocal": 0},
        "burden": {
            "tumour_volume_ml": 2.0 * lesions,
            "marrow_volume_ml": 1000.0,
            "marrow_fraction": 0.002 * lesions,
            "adc_um2_per_s": adc if lesions else dict.fromkeys(adc),
        },
        "pattern": {"label": "focal" if lesions else "normal", "diffuse_grade": "none"},
        "staging": {
            "walker_7_lesions": {**rule, "rule": "walker/1", "value": is_high, "candidates": [is_high]},
            "iss": {
                **rule,
                "rule": "iss/1",
                "value": None if albumin is None else "I",
                "candidates": ["I"] if albumin is not None else ["I", "II", "III"],
                "status": "complete" if albumin is not None else "unknown",
            },
        },
        "alerts": [],
        "run": {"program_version": "0", "seconds": {"read_study": 0.1, "segment": 0.2}},
    }


def main(studies: str, out: str, workers: str, seconds: str, attempts: str = "50") -> None:
    settings = CohortSettings(workers=int(workers), attempts=int(attempts))
    opened = partial(StandIn, float(seconds))
    with redirect_stdout(sys.stderr):  # as the command does: Ray prints what it thinks of a lost worker
        found = run_cohort(studies, Path(out), settings, open_analysis=opened, model=MODEL)
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
