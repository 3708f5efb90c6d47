"""What `infer` will need, told before the work: memory from sizes, seconds from a few windows tried here."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from marrowmap.data.exam import Exam
from marrowmap.data.model_input import ModelInput
from marrowmap.models.engine import Engine
from marrowmap.models.windows import Index, window_slices

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Findings, report and DICOM objects against bringing the exam to the grid: both walk the same voxels, so
#: the share holds on faster and slower machines alike (measured, docs/speed.md).
AFTER_NETWORK_SHARE = 4.0
#: Programs, the network and the windows on their way, in MB (measured with one thread, docs/speed.md).
OWN_MB = 350
#: Loading programs and compiling the network, in s.
START_S = 2.0


def planned_memory_mb(exam: Exam, model_input: ModelInput) -> int:
    """Return about how much memory `infer` needs, in MB: volumes, channels, sums of logits, programs."""
    volumes = sum(volume.array.nbytes for volume in exam.volumes.values())
    voxels = int(np.prod(model_input.grid.shape))
    # Ten summed logits and a weight, probability and regions: the sums reach only around the body, which
    # leaves about 12 values of 4 bytes a voxel.
    return round((volumes + model_input.array.nbytes + voxels * 4 * 12) / 1e6) + OWN_MB


def planned_seconds(
    read_s: float, prepare_s: float, windows: int, window_s: float, *, is_dicom: bool = True
) -> float:
    """Return about how long `infer` takes.

    Args:
        read_s: What reading the study took just now.
        prepare_s: What bringing it to the working grid took.
        windows: Runs of the network.
        window_s: Seconds a window, all threads at work.
        is_dicom: DICOM objects are made too.
    """
    after = AFTER_NETWORK_SHARE * prepare_s * (1.0 if is_dicom else 0.6)
    return START_S + read_s + prepare_s + windows * window_s + after


def seconds_a_window(model_input: ModelInput, engine: Engine, starts: Sequence[Index], at_once: int) -> float:
    """Try a few windows of the exam and return the seconds that one takes when all threads are at work.

    Args:
        model_input: The exam.
        engine: The network.
        starts: All windows; none, 0.0.
        at_once: How many windows run side by side.
    """
    fitting = [
        start
        for start in starts
        if all(a + b <= n for a, b, n in zip(start, engine.patch_size, model_input.grid.shape, strict=True))
    ]
    tried = fitting[: 2 * at_once]
    if not tried:
        return 0.0
    patches = [model_input.array[(slice(None), *window_slices(start, engine.patch_size))] for start in tried]
    # The first run of a network allocates its memory: not what the others cost.
    engine.run(patches[0])
    started = time.perf_counter()
    for _ in engine.run_many(patches):
        pass
    return (time.perf_counter() - started) / len(tried)
