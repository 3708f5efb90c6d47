from collections.abc import Iterable, Iterator

import numpy as np
import pytest
from numpy.testing import assert_allclose

from marrowmap.data.errors import SettingsError
from marrowmap.data.grid import Grid
from marrowmap.data.model_input import ModelInput
from marrowmap.inference.segment import SegmentSettings, segment


class VoxelwiseEngine:
    """An engine whose answer at a voxel depends on that voxel alone: windows must not show."""

    name = "voxelwise"
    device = "cpu"

    def __init__(self, patch_size: tuple[int, int, int] = (8, 8, 8)) -> None:
        self.patch_size = patch_size
        self.windows = 0

    def run(self, patch: np.ndarray) -> np.ndarray:
        self.windows += 1
        result = np.zeros((10, *patch.shape[1:]), np.float32)
        result[0] = 20.0 * patch[0] - 10.0
        for region in range(9):
            result[1 + region] = -np.abs(patch[2] * 8 - region)
        return result

    def run_many(self, patches: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        for patch in patches:
            yield self.run(patch)


class LopsidedEngine(VoxelwiseEngine):
    """An engine that adds 2 to the lesion logit in the right half of every window."""

    def run(self, patch: np.ndarray) -> np.ndarray:
        result = super().run(patch)
        result[0, patch.shape[1] // 2 :] += 2.0
        return result


def input_of(channels: np.ndarray, body: np.ndarray | None = None) -> ModelInput:
    shape = channels.shape[1:]
    return ModelInput(
        array=channels.astype(np.float32),
        grid=Grid(shape=(shape[0], shape[1], shape[2]), affine_ras_mm=np.diag([2.5, 2.5, 2.5, 1.0])),
        present=(True,) * 5,
        body=np.ones(shape, bool) if body is None else body,
        references={},
    )


def random_input(shape: tuple[int, int, int] = (21, 13, 30)) -> ModelInput:
    channels = np.random.default_rng(0).random((5, *shape))
    channels[2] = np.round(channels[2] * 8) / 8
    return input_of(channels)


@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5])
def test_seams_of_windows_do_not_show(overlap: float) -> None:
    model_input = random_input()
    result = segment(model_input, VoxelwiseEngine(), SegmentSettings(overlap=overlap))
    logit = 20.0 * model_input.array[0] - 10.0
    assert_allclose(result.lesion_probability, 1 / (1 + np.exp(-logit)), atol=1e-5)
    assert np.array_equal(result.regions, np.rint(model_input.array[2] * 8).astype(np.uint8))


def test_types_and_grid_are_those_of_the_input() -> None:
    model_input = random_input()
    result = segment(model_input, VoxelwiseEngine())
    assert result.lesion_probability.dtype == np.float32
    assert result.regions.dtype == np.uint8
    assert result.grid is model_input.grid


def test_where_no_window_looks_there_is_no_lesion_and_no_region() -> None:
    channels = np.ones((5, 40, 8, 8))
    body = np.zeros((40, 8, 8), bool)
    body[:8] = True
    result = segment(input_of(channels, body), VoxelwiseEngine())
    assert result.lesion_probability[:8].min() > 0.99
    assert (result.regions[:8] == 8).all()
    assert not result.lesion_probability[8:].any()
    assert not result.regions[8:].any()


def test_an_empty_body_gives_an_empty_answer_and_runs_nothing() -> None:
    engine = VoxelwiseEngine()
    model_input = input_of(np.ones((5, 10, 10, 10)), np.zeros((10, 10, 10), bool))
    result = segment(model_input, engine)
    assert engine.windows == 0
    assert not result.lesion_probability.any()
    assert result.regions.shape == (10, 10, 10)


def test_an_exam_smaller_than_a_window_is_padded() -> None:
    model_input = random_input((5, 20, 3))
    result = segment(model_input, VoxelwiseEngine())
    expected = 1 / (1 + np.exp(-(20.0 * model_input.array[0] - 10.0)))
    assert_allclose(result.lesion_probability, expected, atol=1e-5)


def test_mirroring_averages_left_and_right() -> None:
    model_input = input_of(np.full((5, 8, 8, 8), 0.5))
    engine = LopsidedEngine()
    straight = segment(model_input, engine)
    assert straight.lesion_probability[0, 0, 0] == 0.5
    assert straight.lesion_probability[7, 0, 0] == pytest.approx(1 / (1 + np.exp(-2)))
    mirrored = segment(model_input, engine, SegmentSettings(is_mirrored=True))
    assert_allclose(mirrored.lesion_probability, 1 / (1 + np.exp(-1)), rtol=1e-5)
    assert engine.windows == 3


def test_the_same_input_gives_the_same_bytes() -> None:
    first, second = (segment(random_input(), VoxelwiseEngine()) for _ in range(2))
    assert first.lesion_probability.tobytes() == second.lesion_probability.tobytes()
    assert first.regions.tobytes() == second.regions.tobytes()


def test_enormous_logits_are_certain_and_not_an_overflow() -> None:
    channels = np.zeros((5, 8, 8, 8))
    channels[0, :4] = 1e6
    channels[0, 4:] = -1e6
    probability = segment(input_of(channels), VoxelwiseEngine()).lesion_probability
    assert probability[0, 0, 0] == 1.0
    assert 0.0 <= probability[7, 0, 0] < 1e-30


def test_an_overlap_of_one_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"overlap of windows from 0 to 0\.9, found 1"):
        SegmentSettings(overlap=1.0)
