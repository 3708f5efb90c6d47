"""Where patches come from, and that they come again."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from marrowmap.data.model_input import ModelInputSettings
from marrowmap.training.cache import ExamCache, PreparedExam
from marrowmap.training.config import AugmentSettings, StreamSettings
from marrowmap.training.losses import IGNORED
from marrowmap.training.patches import crop, draw_start
from marrowmap.training.prepare import prepare
from marrowmap.training.stream import (
    FULL_LESION_VOXELS,
    MOST_LESION_WEIGHT,
    PatchDataset,
    ignored_lesions,
    lesion_target,
    lesion_weights,
    patch_loader,
)
from marrowmap.training.toy import toy_exam

STREAM = StreamSettings(exams=2, validation_exams=1, workers=0, patch_size=(16, 16, 24))


def dataset(folder: Path, augmentation: AugmentSettings | None = None) -> PatchDataset:
    cache = ExamCache(folder, {})
    prepare(cache, [0, 1], ModelInputSettings(spacing_mm=8.0), make=toy_exam)
    return PatchDataset(cache, [0, 1], STREAM, augmentation, seed=0, length=20)


def one_lesion_exam() -> PreparedExam:
    """Return 40 x 40 x 60 voxels whose value is their k, with one lesion voxel at (20, 20, 30)."""
    lesions = np.zeros((40, 40, 60), dtype=np.uint16)
    lesions[20, 20, 30] = 1
    image = np.broadcast_to(np.arange(60, dtype=np.float32), (5, 40, 40, 60))
    return PreparedExam(
        image=image,
        lesions=lesions,
        regions=(lesions > 0).astype(np.uint8),
        affine_ras_mm=np.eye(4),
        present=(True,) * 5,
        lesion_points=np.array([[1, 20, 20, 30]], dtype=np.int16),
        region_points=np.array([[1, 20, 20, 30]], dtype=np.int16),
        body_points=np.array([[0, 0, 0]], dtype=np.int16),
    )


def test_a_patch_near_a_lesion_holds_the_lesion() -> None:
    settings, rng = replace(STREAM, near_lesion=1.0, on_skeleton=0.0), np.random.default_rng(0)
    exam = one_lesion_exam()
    patches = [crop(exam, draw_start(exam, settings, rng), STREAM.patch_size) for _ in range(20)]
    assert all(patch.lesions.sum() == 1 for patch in patches)
    places = {tuple(np.argwhere(patch.lesions)[0].tolist()) for patch in patches}
    assert len(places) > 10  # not always in the middle


def test_an_exam_without_lesion_gives_a_patch_of_its_skeleton_instead() -> None:
    settings, rng = replace(STREAM, near_lesion=1.0, on_skeleton=0.0), np.random.default_rng(0)
    exam = replace(one_lesion_exam(), lesion_points=np.zeros((0, 4), dtype=np.int16))
    assert crop(exam, draw_start(exam, settings, rng), STREAM.patch_size).regions.any()


def test_every_second_patch_is_near_a_lesion_of_an_exam_that_has_one(tmp_path: Path) -> None:
    cache, healthy = ExamCache(tmp_path, {}), replace(one_lesion_exam(), lesions=np.zeros((40, 40, 60), "u2"))
    for seed in range(5):
        cache.save(seed, one_lesion_exam() if seed == 3 else healthy)
    patches = PatchDataset(cache, range(5), replace(STREAM, near_lesion=0.5), None, seed=0, length=40)
    has_lesion = [bool((patches[n]["lesion"] == 1).any()) for n in range(1, 40, 2)]
    assert all(has_lesion)


def test_lesions_below_5_mm_are_neither_right_nor_wrong() -> None:
    facts = {"lesions": [{"id": 1, "longest_diameter_mm": 4.9}, {"id": 2, "longest_diameter_mm": 5.0}]}
    ignored = ignored_lesions(replace(one_lesion_exam(), facts=facts), STREAM)
    assert lesion_target(np.array([[[0, 1, 2]]], dtype=np.uint16), ignored).tolist() == [[[0, IGNORED, 1]]]


def test_a_voxel_of_a_small_lesion_counts_more_than_one_of_a_large_lesion() -> None:
    labels = np.array([[[0, 1, 2, 3]]], dtype=np.uint16)
    points = np.repeat(np.array([1, 2, 3], dtype=np.int16), (1, 16, 5 * FULL_LESION_VOXELS))
    weights = lesion_weights(labels, points, STREAM)
    assert weights.tolist() == [[[1.0, MOST_LESION_WEIGHT, 2.0, 1.0]]]
    alike = lesion_weights(labels, points, replace(STREAM, small_lesion_power=0.0))
    assert alike.tolist() == [[[1.0] * 4]]


def test_a_channel_shifted_by_one_shows_its_neighbour_voxel() -> None:
    shifts = np.zeros((5, 3), dtype=int)
    shifts[2] = (0, 0, 1)
    patch = crop(one_lesion_exam(), (0, 0, 10), (4, 4, 4), shifts)
    assert patch.image[0, 0, 0].tolist() == [10, 11, 12, 13]
    assert patch.image[2, 0, 0].tolist() == [11, 12, 13, 14]


def test_a_patch_larger_than_the_exam_ends_in_zeros() -> None:
    patch = crop(one_lesion_exam(), (0, 0, 0), (48, 48, 64))
    assert patch.image[0, 0, 0, 59] == 59
    assert not patch.image[:, 40:].any()
    assert not patch.image[..., 60:].any()


def test_the_same_number_gives_the_same_patch(tmp_path: Path) -> None:
    first = dataset(tmp_path, AugmentSettings())[7]
    second = dataset(tmp_path, AugmentSettings())[7]
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_loader_from_the_middle_gives_what_the_whole_one_gives_there(tmp_path: Path) -> None:
    patches = dataset(tmp_path, AugmentSettings())
    whole = list(patch_loader(patches, start=0, batch_size=2))
    rest = list(patch_loader(patches, start=8, batch_size=2))
    assert len(rest) == 6
    assert torch.equal(whole[4]["image"], rest[0]["image"])
