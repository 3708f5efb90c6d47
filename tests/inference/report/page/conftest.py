"""Exams with many kinds of lesions, for the tests of the page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from marrowmap.data.grid import Grid
from marrowmap.data.skeleton import Region
from marrowmap.inference.findings import AdcStatistics, Lesion
from marrowmap.inference.findings_json import to_json
from marrowmap.inference.pattern import PatternSettings, diffuse_evidence
from marrowmap.inference.report.pictures import ReportImages
from marrowmap.inference.report.write import write_outputs
from marrowmap.inference.revise import ReportMaps, recompute, write_images

Report = dict[str, Any]

SHAPE, SPACING_MM = (24, 16, 40), (5.0, 5.0, 5.0)


def random_lesion(number: int, random: np.random.Generator, *, small: bool, is_calibrated: bool) -> Lesion:
    """Return a lesion of any kind, most of them near the limits of the rules."""
    diameter = float(random.uniform(3.0, 6.5) if small else random.choice([4.9, 5.0, 8.0, 23.0, 40.0]))
    kind = random.choice(["focal", "focal", "focal", "paramedullary", "extramedullary"])
    is_placed = kind != "extramedullary" and random.random() > 0.1
    return Lesion(
        id=number,
        region=random.choice([region.key for region in Region]) if is_placed else None,
        kind=kind,
        status=random.choice(["active", "treated", "indeterminate"]),
        certainty="certain" if random.random() < 0.5 else "equivocal",
        suspected_benign="haemangioma" if random.random() < 0.2 else None,
        probability=round(float(random.uniform(0.2, 1.0)), 3),
        focal_probability=round(float(random.uniform(0.1, 1.0)), 3) if is_calibrated else None,
        volume_ml=1.0,
        longest_diameter_mm=diameter,
        diameter_uncertainty_mm=2.5,
        perpendicular_diameter_mm=0.98 * diameter,
        centroid_ras_mm=(float(number), 2.0, 3.0),
        adc_um2_per_s=AdcStatistics(mean=800.0, median=800.0, p10=700.0, p90=900.0),
        dwi_to_muscle=5.0,
        fat_fraction=None,
    )


@pytest.fixture
def make_exam(report: Report, tmp_path: Path) -> Callable[..., tuple[Path, ReportMaps]]:
    """Return a function that writes the output folder of an exam with random lesions."""

    def make(
        *, lesions: int, seed: int, small: bool = False, grade: str | None = "none", **more: Any
    ) -> tuple[Path, ReportMaps]:
        random = np.random.default_rng(seed)
        found = [
            random_lesion(number, random, small=small, is_calibrated="doubt" in more)
            for number in range(1, lesions + 1)
        ]
        labels = np.zeros(SHAPE, dtype=np.uint16)
        for lesion in found:
            corner = [random.integers(0, size - 5) for size in SHAPE]
            labels[tuple(slice(at, at + random.integers(1, 5)) for at in corner)] = lesion.id
        maps = ReportMaps(
            lesion_labels=labels,
            regions=random.integers(0, 9, SHAPE).astype(np.uint8),
            adc=np.where(random.random(SHAPE) < 0.1, 0.0, random.integers(1, 3600, SHAPE)).astype(np.float32),
            grid=Grid(shape=SHAPE, affine_ras_mm=np.diag([*SPACING_MM, 1.0])),
        )
        evidence = diffuse_evidence([], PatternSettings()) | {"vertebral_grade": grade}
        made = report | {"lesions": to_json(found), "pattern": report["pattern"] | {"evidence": evidence}}
        whole = recompute(made | more, {}, maps)
        write_exam(tmp_path / "out", {key: whole[key] for key in whole if key != "revision"}, maps)
        return tmp_path / "out", maps

    return make


def write_exam(out: Path, report: Report, maps: ReportMaps) -> None:
    """Write an output folder as `infer` does."""
    random = np.random.default_rng(1)
    signal = random.uniform(10.0, 100.0, SHAPE).astype(np.float32)
    images = ReportImages(
        dwi_high=signal, t1=signal, stir=None, lesion_labels=maps.lesion_labels, spacing_mm=SPACING_MM
    )
    affine = maps.grid.affine_ras_mm
    written = {
        "lesions": (maps.lesion_labels, affine),
        "regions": (maps.regions, affine),
        "lesion_probability": (np.zeros(SHAPE, dtype=np.float32), affine),
        "adc": (maps.adc, affine),
    }
    write_outputs(out, report, images, written, also=[lambda folder: write_images(folder, images)])
