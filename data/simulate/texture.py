"""Smooth randomness that costs little: a periodic tile for fine texture, a coarse grid for broad fields."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

TILE = 64


def noise_tile(rng: np.random.Generator, *, smoothing_voxels: float) -> npt.NDArray[np.float32]:
    """Return a periodic block of smooth standard-normal noise.

    Args:
        rng: Source of randomness.
        smoothing_voxels: Standard deviation of the smoothing.

    Returns:
        float32 `(64, 64, 64)` of mean 0 and standard deviation 1, that continues into itself.
    """
    white = rng.standard_normal((TILE, TILE, TILE), dtype=np.float32)
    smooth = ndimage.gaussian_filter(white, smoothing_voxels, mode="wrap", truncate=3.0)
    return ((smooth - smooth.mean()) / smooth.std()).astype(np.float32)


def levels_of(tile: npt.NDArray[np.float32], levels: int) -> npt.NDArray[np.uint8]:
    """Return which of `levels` equally frequent classes each voxel of a tile belongs to."""
    edges = np.quantile(tile, np.linspace(0, 1, levels + 1)[1:-1])
    return np.searchsorted(edges, tile).astype(np.uint8)


def add_tiled(volume: npt.NDArray[np.uint16], tile: npt.NDArray[np.uint16]) -> None:
    """Add a periodic tile to a volume, in place."""
    for i in range(0, volume.shape[0], TILE):
        for j in range(0, volume.shape[1], TILE):
            for k in range(0, volume.shape[2], TILE):
                block = volume[i : i + TILE, j : j + TILE, k : k + TILE]
                block += tile[: block.shape[0], : block.shape[1], : block.shape[2]]


def tile_at(tile: npt.NDArray[np.float32], voxels: npt.NDArray[np.int32]) -> npt.NDArray[np.float32]:
    """Return the value of a periodic tile at voxels int32 `(3, n)`."""
    i, j, k = voxels & (TILE - 1)
    return tile[i, j, k]


def broad_noise(
    rng: np.random.Generator,
    voxels: npt.NDArray[np.int32],
    shape: tuple[int, ...],
    *,
    wavelength_voxels: float,
) -> npt.NDArray[np.float32]:
    """Return a smooth random field of unit spread at some voxels of a volume.

    Args:
        rng: Source of randomness.
        voxels: int32 `(3, n)` of voxel indices.
        shape: Shape of the volume that the voxels belong to.
        wavelength_voxels: Distance of the nodes of the field.

    Returns:
        float32 `(n,)`, about standard normal.
    """
    nodes = [int(side / wavelength_voxels) + 3 for side in shape]
    coarse = rng.standard_normal(nodes).astype(np.float32)
    field = np.empty(voxels.shape[1], dtype=np.float32)
    places = voxels.astype(np.float32) / np.float32(wavelength_voxels) + 0.5
    ndimage.map_coordinates(coarse, places, order=1, output=field)
    field *= 1.5  # linear interpolation between nodes takes about a third of the spread
    return field
