"""A hand-made report and a small body of ellipsoids, for every test of the report."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from marrowmap.inference.report.pictures import (
    CERTAIN,
    EQUIVOCAL,
    SET_ASIDE,
    ReportImages,
    ReportPictures,
    draw_pictures,
)

Report = dict[str, Any]
SPACING_MM = (5.0, 5.0, 5.0)
SHAPE = (100, 60, 200)
#: id, region, (i, j, k), radius in voxels, certainty, suspected benign
LESIONS = (
    (1, "lumbar_spine", (50, 22, 90), 4, "certain", None),
    (2, "sacrum_pelvis", (64, 24, 66), 3, "certain", None),
    (3, "thorax", (74, 30, 130), 2, "equivocal", None),
    (4, "thoracic_spine", (50, 20, 120), 2, "certain", "haemangioma"),
)


def stage(value: object, status: str = "complete", **more: object) -> dict[str, Any]:
    """Return one rule's result in the shape of the contract."""
    return {
        "value": value,
        "status": status,
        "probabilities": {},
        "inputs": {},
        "missing": [],
        "rule": "the rule in one line",
        "source": "Author, Journal 2000;1:1",
        "warnings": [],
        **more,
    }


def lesion(number: int, region: str, radius: int, certainty: str, benign: str | None) -> dict[str, Any]:
    """Return one lesion whose diameter is twice its radius of 5 mm voxels."""
    return {
        "id": number,
        "region": region,
        "kind": "focal",
        "status": "active",
        "certainty": certainty,
        "suspected_benign": benign,
        "probability": 0.93 if certainty == "certain" else 0.41,
        "volume_ml": round(4 / 3 * np.pi * (0.5 * radius) ** 3, 3),
        "longest_diameter_mm": 10.0 * radius,
        "diameter_uncertainty_mm": 2.5,
        "perpendicular_diameter_mm": 9.0 * radius,
        "centroid_ras_mm": [10.0, -40.0, 12.5],
        "adc_um2_per_s": {"mean": 812.0, "median": 805.0, "p10": 690.0, "p90": 940.0},
        "dwi_to_muscle": 6.2,
        "fat_fraction": 0.08,
    }


def staging() -> dict[str, Any]:
    """Return every rule: most unknown, as with no clinical input."""
    missing = ["creatinine_mg_per_dl", "beta2_microglobulin_mg_per_l"]
    unknown = {
        "durie_salmon": ["I", "II", "III"],
        "iss": ["I", "II", "III"],
        "r_iss": ["I", "II", "III"],
        "r2_iss": ["low", "low_intermediate", "intermediate_high", "high"],
        "imwg_2014": ["smouldering", "multiple_myeloma"],
        "smm_20_2_20": ["low", "intermediate", "high"],
        "smm_imwg_points": ["low", "high"],
    }
    return {
        **{name: stage(None, "unknown", candidates=all_, missing=missing) for name, all_ in unknown.items()},
        "durie_salmon_plus": stage(
            "I",
            "imaging_only",
            suffix=None,
            probabilities={"0": 0.0, "I": 0.84, "II": 0.16, "III": 0.0},
            inputs={"focal_lesions_5mm": 3, "diffuse_grade": "none"},
            missing=["creatinine_mg_per_dl"],
            rule="fewer than 5 focal lesions, or mild diffuse change",
            source="Durie, Eur J Cancer 2006;42:1539, doi:10.1016/j.ejca.2005.11.037",
            warnings=["Imaging component only: the published stage also uses blood and marrow findings."],
        ),
        "imwg_mri_mde": stage(
            "positive", inputs={"certain_focal_lesions": 2}, probabilities={"positive": 0.97}
        ),
        "walker_7_lesions": stage(False),
        "rasche_large_lesions": stage(False),
        "lecouvet_pattern": stage("B"),
        "met_rads_p": stage(None, "not_applicable"),
        "my_rads": stage(None, "not_applicable"),
    }


def body() -> dict[str, np.ndarray]:
    """Return T1, STIR, diffusion and labels of an ellipsoid person at 5 mm."""
    i, j, k = np.indices(SHAPE, dtype=np.float32)

    def ball(centre: tuple[float, float, float], radii: tuple[float, float, float]) -> np.ndarray:
        scaled = [((a - c) / r) ** 2 for a, c, r in zip((i, j, k), centre, radii, strict=True)]
        return scaled[0] + scaled[1] + scaled[2] < 1

    trunk = ball((50, 30, 105), (32, 20, 62)) | ball((50, 30, 178), (16, 18, 21))
    legs = ball((34, 28, 28), (14, 15, 50)) | ball((66, 28, 28), (14, 15, 50))
    inner = ball((50, 30, 105), (27, 16, 58))
    spine = ((i - 50) ** 2 + (j - 20) ** 2 < 25) & (k > 65) & (k < 160) & (k % 7 > 1)
    brain = ball((50, 30, 178), (13, 15, 16))
    spleen = ball((28, 22, 108), (6, 7, 9))
    noise = np.random.default_rng(7).normal(0, 8, SHAPE)
    t1 = 420.0 * (trunk | legs) - 270.0 * inner + 190.0 * spine + 90.0 * brain + noise
    stir = 90.0 * (trunk | legs) + 60.0 * inner + 150.0 * brain + noise
    dwi = 25.0 * (trunk | legs) + 25.0 * spine + 170.0 * brain + 260.0 * spleen + noise
    labels = np.zeros(SHAPE, dtype=np.uint16)
    for number, _, centre, radius, _, _ in LESIONS:
        inside = ball(centre, (radius, radius, radius))
        labels[inside] = number
        t1[inside], stir[inside], dwi[inside] = 110.0, 330.0, 240.0
    volumes = {"t1": t1, "stir": stir, "dwi_high": dwi}
    return {name: np.abs(volume).astype(np.float32) for name, volume in volumes.items()} | {"labels": labels}


@pytest.fixture(scope="session")
def images() -> ReportImages:
    made = body()
    return ReportImages(
        dwi_high=made["dwi_high"],
        t1=made["t1"],
        stir=made["stir"],
        lesion_labels=made["labels"],
        spacing_mm=SPACING_MM,
    )


@pytest.fixture(scope="session")
def coarse_images(images: ReportImages) -> ReportImages:
    """The same body on every second voxel, for tests that do not look at it."""
    every = (slice(None, None, 2),) * 3
    return ReportImages(
        dwi_high=images.dwi_high[every],
        t1=None,
        stir=None,
        lesion_labels=images.lesion_labels[every],
        spacing_mm=(10.0, 10.0, 10.0),
    )


@pytest.fixture(scope="session")
def pictures(images: ReportImages) -> ReportPictures:
    """The pictures of the body, lesions in their colours."""
    return draw_pictures(images, {1: CERTAIN, 2: CERTAIN, 3: EQUIVOCAL, 4: SET_ASIDE})


@pytest.fixture(scope="session")
def clean_images(images: ReportImages) -> ReportImages:
    """The same body without lesion, without T1 and STIR."""
    return ReportImages(
        dwi_high=images.dwi_high,
        t1=None,
        stir=None,
        lesion_labels=np.zeros(SHAPE, dtype=np.uint16),
        spacing_mm=SPACING_MM,
    )


@pytest.fixture
def report() -> Report:
    """A report with four lesions of four kinds."""
    lesions = [
        lesion(number, region, radius, sure, benign) for number, region, _, radius, sure, benign in LESIONS
    ]
    adc = {"mean": 812.0, "median": 805.0, "p10": 690.0, "p90": 940.0}
    histogram = {
        "edges_um2_per_s": [float(edge) for edge in range(400, 1500, 100)],
        "counts": [1, 4, 12, 30, 41, 26, 11, 6, 2, 1],
    }
    return {
        "schema": "marrowmap-report/1",
        "study": {
            "study_instance_uid": "1.2.826.0.1.3680043.8.498.1",
            "study_date": "2026-03-14",
            "series_uids": {"dwi_high": ["1.2.3.1", "1.2.3.2"]},
            "sequences": ["t1", "stir", "dwi_low", "dwi_high", "adc"],
            "stations": {"t1": 1, "dwi_high": 4},
            "coverage": {
                "skull": "complete",
                "lumbar_spine": "complete",
                "femora": "partial",
                "humeri": "absent",
            },
            "warnings": [{"code": "station_gap", "text": "A gap of 4 mm lies between stations 2 and 3."}],
        },
        "model": {
            "name": "marrowmap-base",
            "version": "0.1.0",
            "sha256": "0" * 64,
            "engine": "openvino",
            "device": "cpu",
            "trained_on": "400 simulated exams, no patient",
            "intended_use": "research, teaching and pre-training",
        },
        "lesions": lesions,
        "counts": {
            "visible": 4,
            "active": 3,
            "focal_5mm": 3,
            "equivocal": 1,
            "by_region": {"lumbar_spine": 1, "sacrum_pelvis": 1, "thorax": 1, "thoracic_spine": 1},
        },
        "burden": {
            "tumour_volume_ml": 48.7,
            "marrow_volume_ml": 1630.0,
            "marrow_fraction": 0.0299,
            "adc_um2_per_s": {**adc, "histogram": histogram},
            "by_region": {
                "lumbar_spine": {
                    "tumour_volume_ml": 33.5,
                    "marrow_volume_ml": 190.0,
                    "marrow_fraction": 0.176,
                },
                "sacrum_pelvis": {
                    "tumour_volume_ml": 14.1,
                    "marrow_volume_ml": 610.0,
                    "marrow_fraction": 0.023,
                },
            },
        },
        "pattern": {
            "label": "focal",
            "diffuse_grade": "none",
            "evidence": {
                "vertebrae_measured": 11,
                "r_disc": 1.42,
                "r_muscle": 1.71,
                "adc_um2_per_s": 412.0,
                "fat_fraction": None,
                "dwi_to_muscle": 2.9,
                "missing": [],
                "vertebral_grade": "none",
                "focal_certain": 2,
                "focal_equivocal": 1,
                "nodules_of_5_mm_or_less": 0,
                "label_if_equivocal_count": "focal",
            },
        },
        "staging": staging(),
        "alerts": [
            {
                "code": "cord",
                "region": "lumbar_spine",
                "text": "Lesion 1 reaches the spinal canal: possible cord compression.",
            }
        ],
        "biopsy_candidates": [{"lesion_id": 2, "reasons": ["posterior iliac bone", "32 mm"]}],
        "response": None,
    }


@pytest.fixture
def clean_report(report: Report) -> Report:
    """The report of an exam on which nothing was found."""
    nothing = {"mean": None, "median": None, "p10": None, "p90": None, "histogram": None}
    return report | {
        "lesions": [],
        "counts": {"visible": 0, "active": 0, "focal_5mm": 0, "equivocal": 0, "by_region": {}},
        "burden": {
            "tumour_volume_ml": 0.0,
            "marrow_volume_ml": 1630.0,
            "marrow_fraction": 0.0,
            "adc_um2_per_s": nothing,
            "by_region": {},
        },
        "pattern": {"label": "normal", "diffuse_grade": "none", "evidence": {}},
        "alerts": [],
        "biopsy_candidates": [],
        "study": report["study"] | {"warnings": [], "coverage": {}, "sequences": ["dwi_high", "t1"]},
    }


@pytest.fixture
def maps(coarse_images: ReportImages) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The four maps of the contract on the working grid."""
    affine = np.diag([*coarse_images.spacing_mm, 1.0])
    labels = coarse_images.lesion_labels
    probability = np.where(labels > 0, 0.9, 0.02).astype(np.float32)
    return {
        "lesions": (labels, affine),
        "regions": ((labels > 0).astype(np.uint8) * 4, affine),
        "lesion_probability": (probability, affine),
        "adc": (coarse_images.dwi_high * 3, affine),
    }


@pytest.fixture
def without() -> Callable[[Report, str], Report]:
    """Return a report with a dotted key taken away, the original untouched."""

    def take_away(report: Report, dotted: str) -> Report:
        head, _, rest = dotted.partition(".")
        if not rest:
            return {key: value for key, value in report.items() if key != head}
        return report | {head: take_away(report[head], rest)}

    return take_away
