import numpy as np
import pytest

from marrowmap.data.exam import Exam, Sequence, Volume
from marrowmap.data.grid import Grid
from marrowmap.data.model_input import ModelInput
from marrowmap.inference.forecast import planned_memory_mb, planned_seconds, seconds_a_window


class Halves:
    """An engine that takes windows of 4 voxels a side and counts them."""

    name, device, patch_size = "halves", "cpu", (4, 4, 4)

    def __init__(self) -> None:
        self.windows = 0

    def run(self, patch: np.ndarray) -> np.ndarray:
        self.windows += 1
        return patch

    def run_many(self, patches):  # type: ignore[no-untyped-def]
        return (self.run(patch) for patch in patches)


def model_input(side: int) -> ModelInput:
    return ModelInput(
        array=np.zeros((5, side, side, side), np.float32),
        grid=Grid(shape=(side, side, side), affine_ras_mm=np.eye(4)),
        present=(True,) * 5,
        body=np.ones((side, side, side), bool),
        references={},
    )


def test_memory_is_volumes_channels_and_12_values_a_voxel_beside_the_programs() -> None:
    volume = Volume(array=np.zeros((100, 100, 50), np.float32), affine_ras_mm=np.eye(4))
    exam = Exam(volumes={Sequence.DWI_HIGH: volume, Sequence.T1: volume})
    # 2 x 2 MB of volumes, 1 million voxels: 20 MB of channels, 48 MB of sums and maps.
    assert planned_memory_mb(exam, model_input(100)) == 350 + 4 + 20 + 48


@pytest.mark.parametrize(("is_dicom", "seconds"), [(True, 2 + 5 + 1 + 6 + 4), (False, 2 + 5 + 1 + 6 + 2.4)])
def test_seconds_are_what_was_tried_times_the_windows(is_dicom: bool, seconds: float) -> None:
    assert planned_seconds(5.0, 1.0, 60, 0.1, is_dicom=is_dicom) == pytest.approx(seconds)


def test_two_windows_a_thread_are_tried_after_one_to_warm_up() -> None:
    engine = Halves()
    assert seconds_a_window(model_input(8), engine, [(0, 0, 0)] * 9, at_once=2) > 0
    assert engine.windows == 1 + 4


def test_no_window_costs_nothing() -> None:
    assert seconds_a_window(model_input(8), Halves(), [], at_once=2) == 0.0
    assert seconds_a_window(model_input(2), Halves(), [(0, 0, 0)], at_once=2) == 0.0
