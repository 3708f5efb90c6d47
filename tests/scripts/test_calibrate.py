"""The command: folders in, calibration into the bundle, the same bundle checked; what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from marrowmap.data.errors import SeedError, SettingsError
from marrowmap.data.model_input import ModelInputSettings
from marrowmap.data.nifti import write_nifti
from marrowmap.data.skeleton import REGION_CHANNELS
from marrowmap.models import bundle as bundles
from marrowmap.models.bundle import WEIGHT_FILES, BundleDescription, load_bundle
from marrowmap.scripts.calibrate import main


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A bundle whose weights are three bytes: nothing here runs it."""
    folder = tmp_path / "bundle"
    folder.mkdir()
    for name in WEIGHT_FILES:
        (folder / name).write_bytes(b"abc")
    description = BundleDescription(
        name="stand-in",
        version="1",
        input=ModelInputSettings(),
        network={"channels_in": 5, "regions": REGION_CHANNELS},
        patch_size=(32, 32, 48),
        lesion_threshold=0.5,
        trained_on="nothing",
        intended_use="tests",
    )
    bundles._write_metadata(folder, description)
    return folder


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Twelve exams of two lesions each; the network found the first, and one thing that is none."""
    for number in range(12):
        labels, known = np.zeros((30, 8, 8), dtype=np.uint16), np.zeros((30, 8, 8), dtype=np.uint16)
        labels[2:8], labels[25:27] = 1, 2
        known[2:8], known[12:18] = 1, 2
        out, reference = tmp_path / "out" / f"{number:02d}", tmp_path / "truth" / f"{number:02d}"
        out.mkdir(parents=True)
        reference.mkdir(parents=True)
        write_nifti(out / "lesions.nii.gz", labels, np.eye(4))
        write_nifti(reference / "truth_lesions.nii.gz", known, np.eye(4))
        lesions = [
            {"id": 1, "kind": "focal", "score": 0.95, "volume_ml": 0.4},
            {"id": 2, "kind": "focal", "score": 0.6, "volume_ml": 0.1},
        ]
        (out / "report.json").write_text(json.dumps({"lesions": lesions}))
    return tmp_path / "out", tmp_path / "truth"


def test_a_calibration_is_written_into_the_bundle_and_can_be_checked(
    weights: Path, folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*map(str, folders), "--weights", str(weights)]
    assert load_bundle(weights).calibration is None
    assert main(words) == 0
    assert (
        "fitted on 12 simulated exams: the 90 % interval holds the count in 100 %" in capsys.readouterr().out
    )
    calibration = load_bundle(weights).calibration
    assert calibration is not None
    assert calibration.fitted_on == "12 simulated exams"
    assert calibration.lesion.probability(0.95, 0.4) > 0.8
    assert calibration.lesion.probability(0.6, 0.1) < 0.3
    assert main([*words, "--check", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["check"]["exams"] == 12


def test_an_uncalibrated_bundle_cannot_be_checked(weights: Path, folders: tuple[Path, Path]) -> None:
    with pytest.raises(SettingsError, match="need a calibrated bundle to check"):
        main([*map(str, folders), "--weights", str(weights), "--check"])


def test_without_folders_or_a_number_there_is_nothing_to_do(weights: Path) -> None:
    with pytest.raises(SettingsError, match="--simulated N"):
        main(["--weights", str(weights)])


def test_test_seeds_never_fit_and_other_seeds_never_check(weights: Path) -> None:
    with pytest.raises(SeedError, match="validation needs seeds"):
        main(["--weights", str(weights), "--simulated", "2", "--first_seed", "20000"])
    with pytest.raises(SettingsError, match="need test seeds from 20000"):
        main(["--weights", str(weights), "--simulated", "2", "--first_seed", "10100", "--check"])
