"""Smooth random fields on a grid."""

from __future__ import annotations

import numpy as np

from marrowmap.data.exam import Array3D


def smooth_noise(
    shape: tuple[int, ...], spacing_mm: float, step_mm: tuple[float, float, float], rng: np.random.Generator
) -> Array3D:
    """Return noise drawn every `step_mm` and interpolated linearly between.

    Args:
        shape: Size of the grid, three axes.
        spacing_mm: Voxel size of the grid.
        step_mm: Distance of the drawn values along each axis.
        rng: Source of randomness.

    Returns:
        float32 of that shape, about unit variance at the drawn points.
    """
    counts = [max(2, round(n * spacing_mm / step)) + 1 for n, step in zip(shape, step_mm, strict=True)]
    noise = rng.standard_normal(counts).astype(np.float32)
    for axis, n in enumerate(shape):
        position = np.linspace(0, counts[axis] - 1.001, n)
        low = position.astype(np.int64)
        weight = (position - low).astype(np.float32).reshape([-1 if a == axis else 1 for a in range(3)])
        above = np.take(noise, low + 1, axis)
        noise = np.take(noise, low, axis)
        noise += weight * (above - noise)
    return noise
