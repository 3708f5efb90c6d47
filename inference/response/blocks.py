"""Cubes of two exams matched by the correlation of their images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view
from scipy import ndimage

from marrowmap.data.errors import SettingsError
from marrowmap.data.grid import Grid
from marrowmap.inference.response.exam import ComparedExam

Points = npt.NDArray[np.float64]
Image = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class BlockSettings:
    """How blocks are compared.

    Attributes:
        half_voxels: A block reaches this far from its middle, in voxels of its level.
        least_similarity: Worse matches count for nothing.
    """

    half_voxels: int = 4
    least_similarity: float = 0.4

    def __post_init__(self) -> None:
        """Refuse blocks without an inside.

        Raises:
            SettingsError: If a block is smaller than three voxels.
        """
        if self.half_voxels < 1:
            raise SettingsError(f"need half_voxels of 1 or more, found {self.half_voxels}")


@dataclass(frozen=True, kw_only=True, eq=False)
class Pyramid:
    """One exam at one resolution.

    Attributes:
        images: Any number type, `(i, j, k)` each.
        skeleton: Share of each voxel that is skeleton.
        grid: Of both.
    """

    images: tuple[npt.NDArray, ...]
    skeleton: Image
    grid: Grid

    def lattice_points(self, step_mm: float) -> npt.NDArray[np.intp]:
        """Return voxels `(n, 3)` on a lattice, those whose cube holds skeleton."""
        step = [max(1, round(step_mm / spacing)) for spacing in self.grid.spacing_mm]
        near = ndimage.maximum_filter(self.skeleton, size=step) > 0.2
        chosen = np.zeros(near.shape, dtype=bool)
        chosen[tuple(slice(s // 2, None, s) for s in step)] = True
        return np.argwhere(near & chosen)


@dataclass(frozen=True, kw_only=True, eq=False)
class Matches:
    """Matched blocks.

    Attributes:
        source_mm: Middles `(n, 3)` in the earlier exam.
        target_mm: Middles in the later exam.
        similarity: Correlation of their images `(n,)`, at most 1.
    """

    source_mm: Points
    target_mm: Points
    similarity: Points

    def where(self, mask: npt.NDArray[np.bool_]) -> Matches:
        """Return some of the matches."""
        return Matches(
            source_mm=self.source_mm[mask], target_mm=self.target_mm[mask], similarity=self.similarity[mask]
        )


def pyramid_of(exam: ComparedExam, names: Sequence[str], spacing_mm: float) -> Pyramid:
    """Return an exam's images at a resolution: whole voxels averaged, never interpolated.

    Args:
        exam: The exam.
        names: Which images, those absent left out.
        spacing_mm: Wanted voxel side; the nearest whole multiple of the exam's own.
    """
    factor = tuple(max(1, round(spacing_mm / spacing)) for spacing in exam.grid.spacing_mm)
    affine = np.array(exam.grid.affine_ras_mm)
    affine[:3, 3] = exam.grid.points_mm(np.array([(f - 1) / 2 for f in factor]))
    affine[:3, :3] = affine[:3, :3] @ np.diag(factor)
    skeleton = _shrunk((exam.regions > 0).astype(np.float32), factor)
    i, j, k = skeleton.shape
    return Pyramid(
        images=tuple(_shrunk(exam.images[name], factor) for name in names if name in exam.images),
        skeleton=skeleton,
        grid=Grid(shape=(i, j, k), affine_ras_mm=affine),
    )


def _shrunk(volume: npt.NDArray, factor: tuple[int, ...]) -> npt.NDArray:
    """Return the means of whole cubes of voxels; what is left over at the far ends is cut."""
    if max(factor) == 1:
        return volume
    for axis, f in enumerate(factor):
        count = volume.shape[axis] // f
        kept = np.take(volume, np.arange(max(count, 1) * f).clip(0, volume.shape[axis] - 1), axis)
        shape = (*kept.shape[:axis], max(count, 1), f, *kept.shape[axis + 1 :])
        volume = kept.reshape(shape).mean(axis=axis + 1, dtype=np.float32)
    return volume


def match_blocks(
    before: Pyramid,
    after: Pyramid,
    centres: npt.NDArray[np.intp],
    expected_mm: Points,
    *,
    reach_mm: float,
    settings: BlockSettings,
) -> Matches:
    """Find for each block of the earlier exam the place in the later one that looks most alike.

    Args:
        before: The earlier exam.
        after: The later one, at the same spacing.
        centres: Middle voxels `(n, 3)` of the blocks.
        expected_mm: Where each is expected in the later exam, RAS+ mm.
        reach_mm: How far around that to look.
        settings: Size of the blocks and least similarity.

    Returns:
        The blocks that found a partner, to a fraction of a voxel.
    """
    reach = max(1, round(reach_mm / max(after.grid.spacing_mm)))
    inverse = np.linalg.inv(after.grid.affine_ras_mm)
    start = expected_mm @ inverse[:3, :3].T + inverse[:3, 3]
    nearest = np.rint(start).astype(np.intp)
    margin = settings.half_voxels + reach
    images = [
        (np.pad(first, settings.half_voxels), np.pad(second, margin))
        for first, second in zip(before.images, after.images, strict=True)
    ]
    sources, targets, scores = [], [], []
    for centre, voxel in zip(centres, nearest, strict=True):
        found = _best_shift(images, centre, voxel, reach, settings)
        if found is None:
            continue
        shift, score = found
        sources.append(centre)
        targets.append(voxel + shift)
        scores.append(score)
    return Matches(
        source_mm=before.grid.points_mm(np.array(sources, dtype=np.float64).reshape(-1, 3)),
        target_mm=after.grid.points_mm(np.array(targets, dtype=np.float64).reshape(-1, 3)),
        similarity=np.array(scores, dtype=np.float64),
    )


def _best_shift(
    images: Sequence[tuple[npt.NDArray, npt.NDArray]],
    centre: npt.NDArray[np.intp],
    voxel: npt.NDArray[np.intp],
    reach: int,
    settings: BlockSettings,
) -> tuple[Points, float] | None:
    """Return the shift `(3,)` in voxels of the best match around a voxel, and how good it is.

    Args:
        images: Pairs of volumes, the first with a margin of half a block, the second of the reach besides.
        centre: Middle of the block in the first, without margin.
        voxel: Where it is expected in the second, without margin.
        reach: How far to look.
        settings: Size of the block and least similarity.
    """
    half = settings.half_voxels
    block, wide = _cut(centre, 2 * half + 1), _cut(voxel, 2 * (half + reach) + 1)
    total, used = np.zeros((2 * reach + 1,) * 3), 0
    for first, second in images:
        if not (_is_inside(block, first.shape) and _is_inside(wide, second.shape)):
            return None
        scores = _correlations(first[block], second[wide])
        if scores is not None:
            total += scores
            used += 1
    if not used:
        return None
    total /= used
    peak = np.unravel_index(int(np.argmax(total)), total.shape)
    is_edge = any(index in (0, 2 * reach) for index in peak)
    if is_edge or total[peak] < settings.least_similarity:
        return None
    return np.array(peak) - reach + _subvoxel(total, peak), float(total[peak])


def _cut(middle: npt.NDArray[np.intp], side: int) -> tuple[slice, slice, slice]:
    """Return the cube around a voxel, in a volume that has a margin of half the cube's side."""
    i, j, k = (slice(int(m), int(m) + side) for m in middle)
    return i, j, k


def _is_inside(box: tuple[slice, slice, slice], shape: tuple[int, ...]) -> bool:
    return all(side.start >= 0 and side.stop <= n for side, n in zip(box, shape, strict=True))


def _correlations(block: npt.NDArray, wide: npt.NDArray) -> npt.NDArray[np.float64] | None:
    """Return Pearson's correlation of a block with every block of its size in a wider one; None if flat."""
    reference = block - block.mean(dtype=np.float64)
    norm = float(np.sqrt(np.square(reference).sum(dtype=np.float64)))
    if norm < 1e-3 * block.size:
        return None
    windows = sliding_window_view(wide.astype(np.float32), block.shape)
    count = float(block.size)
    wide64 = wide.astype(np.float64)
    sums = _box_sums(wide64, block.shape)
    squares = _box_sums(np.square(wide64), block.shape)
    spread = np.sqrt(np.maximum(squares - np.square(sums) / count, 0.0))
    products = np.tensordot(windows, reference.astype(np.float32), axes=3)
    return np.where(spread > 1e-3 * count, products / np.maximum(norm * spread, 1e-9), 0.0)


def _box_sums(volume: npt.NDArray[np.float64], size: tuple[int, ...]) -> npt.NDArray[np.float64]:
    for axis, n in enumerate(size):
        running = np.cumsum(volume, axis=axis)
        first = np.take(running, [n - 1], axis=axis)
        later = np.take(running, range(n, running.shape[axis]), axis=axis)
        earlier = np.take(running, range(0, running.shape[axis] - n), axis=axis)
        volume = np.concatenate([first, later - earlier], axis=axis)
    return volume


def _subvoxel(scores: npt.NDArray[np.float64], peak: tuple[np.intp, ...]) -> Points:
    """Return the top of the parabola through the peak and its neighbours, along each axis."""
    offset = np.zeros(3)
    for axis in range(3):
        at = list(peak)
        low, high = list(at), list(at)
        low[axis] -= 1
        high[axis] += 1
        below, top, above = scores[tuple(low)], scores[tuple(at)], scores[tuple(high)]
        curve = below - 2 * top + above
        offset[axis] = 0.5 * (below - above) / curve if curve < -1e-9 else 0.0
    return np.clip(offset, -0.5, 0.5)
