"""From the network's input to a lesion probability and a skeletal region for every voxel."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from marrowmap.data.errors import SettingsError
from marrowmap.data.exam import Array3D
from marrowmap.data.grid import Grid
from marrowmap.data.model_input import ModelInput
from marrowmap.data.skeleton import REGION_CHANNELS
from marrowmap.models.engine import Engine, Patch
from marrowmap.models.windows import Index, gaussian_weight, plan_windows, window_slices

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class SegmentSettings:
    """How an exam is cut into windows.

    Attributes:
        overlap: Least share of a window's side that the next in its row holds too. More is smoother
            and slower: 0.5 costs about three times the windows of 0.25.
        is_mirrored: Also run every window mirrored left to right and average: twice the time.
    """

    overlap: float = 0.25
    is_mirrored: bool = False

    def __post_init__(self) -> None:
        """Refuse an overlap out of range.

        Raises:
            SettingsError: If the overlap is not in [0, 0.9].
        """
        if not 0.0 <= self.overlap <= 0.9:
            raise SettingsError(f"need an overlap of windows from 0 to 0.9, found {self.overlap}")


@dataclass(frozen=True, kw_only=True, eq=False)
class Segmentation:
    """What the network says of every voxel.

    Attributes:
        lesion_probability: float32 `(i, j, k)` in [0, 1]; 0 where no window looked.
        regions: uint8 `(i, j, k)` of `Region` values, 0 outside the skeleton.
        grid: Where the voxels are.
    """

    lesion_probability: Array3D
    regions: npt.NDArray[np.uint8]
    grid: Grid


def segment(model_input: ModelInput, engine: Engine, settings: SegmentSettings | None = None) -> Segmentation:
    """Run the network over the body and blend its windows.

    Windows are added up in one fixed order, so the same input gives the same bytes.

    Args:
        model_input: The exam on its working grid.
        engine: The network.
        settings: Overlap and mirroring.
    """
    settings = settings or SegmentSettings()
    size, shape = engine.patch_size, model_input.grid.shape
    starts = plan_windows(model_input.body, size, settings.overlap)
    logger.info("%d windows of %s voxels on a grid of %s", len(starts), size, shape)
    if not starts:
        return _nothing_seen(model_input.grid)
    origin, box = _box_of_windows(starts, size)
    logits = np.zeros((1 + REGION_CHANNELS, *box), dtype=np.float32)
    weights = np.zeros(box, dtype=np.float32)
    weight = gaussian_weight(size)
    for start, window in zip(starts, _window_logits(model_input, engine, starts, settings), strict=True):
        inside = window_slices(_relative(start, origin), size)
        # Channel by channel: the product of one fits the cache, of ten it does not.
        for channel, values in zip(logits, window, strict=True):
            channel[inside] += values * weight
        weights[inside] += weight
    return _blended(logits, weights, origin, model_input.grid)


def _window_logits(
    model_input: ModelInput, engine: Engine, starts: list[Index], settings: SegmentSettings
) -> Iterator[Patch]:
    """Yield the logits of every window; with mirroring the mean of both views."""
    array = _padded(model_input.array, engine.patch_size)
    patches = (array[(slice(None), *window_slices(start, engine.patch_size))] for start in starts)
    if not settings.is_mirrored:
        yield from engine.run_many(patches)
        return
    both = (view for patch in patches for view in (patch, patch[:, ::-1]))
    results = engine.run_many(both)
    for straight in results:
        mean = straight * np.float32(0.5)
        mean += next(results)[:, ::-1] * np.float32(0.5)
        yield mean


def _padded(array: npt.NDArray[np.float32], size: Index) -> npt.NDArray[np.float32]:
    """Return the array with zeros at the end of every axis that is shorter than a window."""
    missing = [max(0, side - have) for side, have in zip(size, array.shape[1:], strict=True)]
    return np.pad(array, [(0, 0), *((0, m) for m in missing)]) if any(missing) else array


def _box_of_windows(starts: list[Index], size: Index) -> tuple[Index, Index]:
    """Return origin and shape of the box around all windows: the sums need no more memory than that."""
    low = np.min(starts, axis=0)
    high = np.max(starts, axis=0) + np.array(size)
    i, j, k = low.tolist()
    return (i, j, k), (int(high[0] - i), int(high[1] - j), int(high[2] - k))


def _relative(start: Index, origin: Index) -> Index:
    return start[0] - origin[0], start[1] - origin[1], start[2] - origin[2]


def _blended(logits: npt.NDArray[np.float32], weights: Array3D, origin: Index, grid: Grid) -> Segmentation:
    """Turn summed logits into a probability and a region, slab by slab."""
    result = _nothing_seen(grid)
    box = tuple(
        slice(low, min(low + have, limit))
        for low, have, limit in zip(origin, weights.shape, grid.shape, strict=True)
    )
    probability, regions = result.lesion_probability[box], result.regions[box]
    width, depth = probability.shape[1:]
    for i in range(len(probability)):
        seen = weights[i, :width, :depth]
        lesion = logits[0, i, :width, :depth] / np.where(seen > 0, seen, 1.0)
        # exp of at most 80 stays finite in float32.
        probability[i] = np.where(seen > 0, 1.0 / (1.0 + np.exp(-np.clip(lesion, -80.0, 80.0))), 0.0)
        regions[i] = logits[1:, i, :width, :depth].argmax(axis=0)
        regions[i][seen == 0] = 0
    return result


def _nothing_seen(grid: Grid) -> Segmentation:
    return Segmentation(
        lesion_probability=np.zeros(grid.shape, dtype=np.float32),
        regions=np.zeros(grid.shape, dtype=np.uint8),
        grid=grid,
    )
