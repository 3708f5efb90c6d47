"""From a toy run to a bundle that the engine runs."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from marrowmap.data.components import find_components
from marrowmap.data.errors import BundleError, SeedError, SettingsError
from marrowmap.data.lesion_outline import is_speck
from marrowmap.data.model_input import ModelInputSettings
from marrowmap.models.bundle import load_bundle
from marrowmap.models.engine import open_engine
from marrowmap.models.unet import UNetSettings
from marrowmap.training.config import TrainSettings
from marrowmap.training.export import ExportSettings, export, load_averaged, read_run
from marrowmap.training.operating_point import OperatingPoint, choose_threshold
from marrowmap.training.toy import toy_exam
from marrowmap.training.train import train


def point(threshold: float, found: int, false_positives: int) -> OperatingPoint:
    return OperatingPoint(
        threshold=threshold,
        found=found,
        lesions=10,
        false_positives=false_positives,
        exams=2,
        lesion_dice=0.5,
    )


def test_a_run_becomes_a_bundle_with_the_same_answers(small_run: TrainSettings, tmp_path: Path) -> None:
    import torch

    train(small_run, make=toy_exam)
    bundle = export(small_run.run, tmp_path / "bundle", ExportSettings(validation_exams=1), make=toy_exam)
    assert load_bundle(tmp_path / "bundle").sha256 == bundle.sha256
    assert "2 simulated exams" in bundle.trained_on
    assert "simulated" in (tmp_path / "bundle" / "model_card.md").read_text()
    patch = np.random.default_rng(0).random((5, 16, 16, 24), dtype=np.float32)
    network, steps = load_averaged(small_run.run, read_run(small_run.run))
    with torch.no_grad():
        expected = network(torch.from_numpy(patch)[None])[0].numpy()
    np.testing.assert_allclose(open_engine(bundle, "cpu", 1).run(patch), expected, atol=0.05)
    assert steps == 6


def test_a_new_run_can_start_from_a_bundle(small_run: TrainSettings, tmp_path: Path) -> None:
    train(small_run, make=toy_exam)
    export(small_run.run, tmp_path / "bundle", ExportSettings(validation_exams=0))
    again = replace(small_run, run=tmp_path / "again", init_from=tmp_path / "bundle", max_steps=1)
    assert train(again, make=toy_exam) is not None
    bundle = export(again.run, tmp_path / "second", ExportSettings(validation_exams=0))
    assert bundle.trained_on.endswith(
        "1 steps; no patient; started from marrowmap-simulated 0.1.0 "
        "(2 simulated exams (seeds 0 to 1), 6 steps; no patient)"
    )
    other = replace(again, run=tmp_path / "other", network=UNetSettings(features=(8, 16, 32)))
    with pytest.raises(BundleError, match=r"need network\.features \[8, 16, 16\], found \[8, 16, 32\]"):
        train(other, make=toy_exam)
    finer = replace(again, run=tmp_path / "finer", model_input=ModelInputSettings(spacing_mm=7.0))
    with pytest.raises(BundleError, match=r"need model_input\.spacing_mm 8\.0, found 7\.0; keep theirs"):
        train(finer, make=toy_exam)
    assert not finer.run.exists()


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="name the folder of a run"):
        export(tmp_path, tmp_path / "bundle", ExportSettings())


def test_a_threshold_is_never_chosen_on_test_exams() -> None:
    with pytest.raises(SeedError, match="validation needs seeds"):
        ExportSettings(first_validation_seed=20_000)


def test_most_lesions_at_two_false_positives_an_exam_win() -> None:
    exams = point(0.5, 8, 2).exams
    loud, allowed, quiet = point(0.3, 9, 2 * exams + 1), point(0.5, 8, 2 * exams), point(0.7, 4, 0)
    assert choose_threshold([loud, allowed, quiet]) is allowed
    fewer = point(0.6, 8, exams)
    assert choose_threshold([loud, allowed, fewer, quiet]) is fewer


def test_where_no_threshold_is_quiet_the_highest_f1_wins_and_of_equal_ones_the_lowest() -> None:
    points = [point(0.7, 2, 20), point(0.5, 8, 20), point(0.3, 8, 20)]
    assert points[1].f1 == pytest.approx(16 / (8 + points[1].lesions + 20))
    assert choose_threshold(points) is points[2]


def test_specks_are_left_out() -> None:
    mask = np.zeros((10, 10, 10), dtype=bool)
    mask[0, 0, 0] = True  # 0.016 ml at 2.5 mm
    mask[5:7, 5:7, 5:7] = True  # 0.125 ml
    assert is_speck(find_components(mask), (2.5, 2.5, 2.5)).tolist() == [True, False]
    assert not is_speck(find_components(np.zeros((3, 3, 3), dtype=bool)), (2.5, 2.5, 2.5)).any()
