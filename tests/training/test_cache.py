"""Prepared exams on disk: what comes back, what is kept, what is refused."""

from pathlib import Path

import numpy as np
import pytest

from marrowmap.data.errors import StudyError
from marrowmap.data.model_input import ModelInputSettings
from marrowmap.training.cache import ExamCache, labelled_points
from marrowmap.training.prepare import prepare
from marrowmap.training.toy import toy_exam

COARSE = ModelInputSettings(spacing_mm=10.0)


def test_an_exam_comes_back_as_it_was(tmp_path: Path) -> None:
    cache, exam = ExamCache(tmp_path, {}), toy_exam(3, COARSE)
    cache.save(3, exam)
    loaded = cache.load(3)
    np.testing.assert_array_equal(loaded.lesions, exam.lesions)
    np.testing.assert_array_equal(loaded.regions, exam.regions)
    np.testing.assert_allclose(loaded.image, exam.image, atol=2e-3)
    assert loaded.spacing_mm == (10.0, 10.0, 10.0)
    assert loaded.facts["seed"] == 3


def test_other_settings_are_another_cache(tmp_path: Path) -> None:
    assert ExamCache(tmp_path, {"a": 1}).folder != ExamCache(tmp_path, {"a": 2}).folder
    assert ExamCache(tmp_path, {"a": 1}).folder == ExamCache(tmp_path, {"a": 1}).folder


def test_what_is_prepared_is_not_prepared_again(tmp_path: Path) -> None:
    made = []

    def make(seed: int, settings: ModelInputSettings):
        made.append(seed)
        return toy_exam(seed, settings)

    cache = ExamCache(tmp_path, {})
    prepare(cache, [0, 1], COARSE, make=make)
    prepare(cache, [0, 1, 2], COARSE, make=make)
    assert made == [0, 1, 2]
    assert cache.seeds() == [0, 1, 2]


def test_a_second_writer_of_the_same_exam_leaves_the_first_ones(tmp_path: Path) -> None:
    cache, exam = ExamCache(tmp_path, {}), toy_exam(0, COARSE)
    cache.save(0, exam)
    cache.save(0, exam)
    assert cache.seeds() == [0]
    assert not list(cache.folder.glob(".writing_*"))


def test_an_exam_that_is_not_prepared_is_named(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="exam 7 is not prepared"):
        ExamCache(tmp_path, {}).load(7)


def test_every_label_gets_at_most_its_share_of_points() -> None:
    labels = np.zeros((10, 10, 10), dtype=np.uint16)
    labels[:5, :, :], labels[9, 9, 9] = 1, 300
    points = labelled_points(labels, 4, np.random.default_rng(0))
    assert points[:, 0].tolist() == [1, 1, 1, 1, 300]
    assert points[4, 1:].tolist() == [9, 9, 9]
    assert all(labels[tuple(row[1:])] == row[0] for row in points)


def test_no_label_gives_no_point() -> None:
    assert labelled_points(np.zeros((3, 3, 3), dtype=np.uint8), 4, np.random.default_rng(0)).shape == (0, 4)
