"""Stomach and bowel: tubes with a wall, a mucosa that diffusion shows, and gas over content."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from marrowmap.data.simulate.canvas import Canvas
from marrowmap.data.simulate.labels import Tissue
from marrowmap.data.simulate.posture import Warp
from marrowmap.data.simulate.shapes import tube

Path = npt.NDArray[np.float64]

_STEP_MM = 4.0
_OVER = frozenset({Tissue.VISCERAL_FAT, Tissue.BOWEL_CONTENT, Tissue.BOWEL_WALL, Tissue.BOWEL_MUCOSA,
                   Tissue.LIVER, Tissue.PANCREAS, Tissue.STOMACH, Tissue.GAS})  # fmt: skip
#: x, y, z, radius along the gut of the man of the figures (mm); general anatomy.
_COLON = (
    (84, 20, 78, 20), (94, 12, 110, 24), (102, 6, 160, 22), (104, 4, 215, 21), (96, 18, 258, 20),
    (60, 62, 252, 20), (10, 78, 228, 19), (-40, 72, 240, 18), (-84, 44, 280, 18), (-112, 8, 308, 18),
    (-120, -2, 250, 16), (-118, 0, 190, 15), (-112, 10, 130, 14), (-92, 24, 88, 14), (-58, 34, 58, 14),
    (-22, 14, 70, 15), (10, -14, 78, 15), (18, -44, 58, 16), (6, -60, 36, 18), (2, -56, 8, 19),
    (2, -44, -22, 13), (2, -42, -42, 9),
)  # fmt: skip
_STOMACH = (
    (-62, -4, 384, 12), (-76, -2, 366, 32), (-84, 18, 342, 34), (-80, 44, 314, 30), (-54, 60, 288, 26),
    (-16, 62, 274, 21), (18, 52, 280, 12), (38, 34, 276, 12), (48, 16, 256, 13), (44, 4, 228, 12),
    (20, 4, 210, 11), (-14, 10, 212, 10), (-38, 16, 234, 10),
)  # fmt: skip
_STOMACH_ENDS = 7  # of its points: then the duodenum begins
_SMALL_CENTRE, _SMALL_HALF = np.array([-4.0, 34.0, 160.0]), np.array([88.0, 34.0, 84.0])


def paint_bowel(canvas: Canvas, scale: float, warp: Warp, rng: np.random.Generator) -> None:
    """Paint stomach, duodenum, small bowel, colon and rectum into the fat of the belly.

    Args:
        canvas: Painted in place.
        scale: The person's size against the figures.
        warp: Deformation of the body.
        rng: Source of course, width and content.
    """
    small = _small_bowel_path(rng)
    _paint_segments(canvas, small, scale, warp, rng, length=14, gas_chance=0.2)
    colon = _jittered(_COLON, rng, spread_mm=9.0, width=0.14)
    along = np.arange(len(colon)) * _STEP_MM
    colon[:, 3] *= 1 + 0.17 * np.sin(2 * np.pi * along / rng.uniform(20, 30))  # haustra
    _paint_segments(canvas, colon, scale, warp, rng, length=16, gas_chance=0.55)
    stomach = _jittered(_STOMACH, rng, spread_mm=6.0, width=0.15)
    end = round(len(stomach) * _STOMACH_ENDS / len(_STOMACH))
    _paint_segments(canvas, stomach[end:], scale, warp, rng, length=12, gas_chance=0.3)
    surface = tube(stomach[: end + 2] * scale, sectors=16)
    filling = Tissue.STOMACH if rng.random() < 0.6 else Tissue.BOWEL_CONTENT
    gas = float(rng.uniform(0.0, 0.55))
    wall = Tissue.BOWEL_MUCOSA
    canvas.paint_hollow(surface.moved(warp(surface.vertices)), wall, filling, over=_OVER, gas_share=gas)


def _jittered(
    points: Sequence[Sequence[float]], rng: np.random.Generator, *, spread_mm: float, width: float
) -> Path:
    """Return a smooth path near some points, a place every few mm."""
    corners = np.array(points, dtype=np.float64)
    corners[:, :3] += rng.normal(0, spread_mm, (len(corners), 3)) * [1.0, 0.6, 1.0]
    corners[:, 3] *= np.exp(rng.normal(0, width, len(corners)) + rng.normal(0, width))
    return _resampled(corners)


def _resampled(corners: Path) -> Path:
    gaps = np.linalg.norm(np.diff(corners[:, :3], axis=0), axis=1)
    length = np.concatenate([[0.0], np.cumsum(gaps)])
    places = np.arange(0.0, length[-1], _STEP_MM)
    path = np.stack([np.interp(places, length, column) for column in corners.T], axis=1)
    return ndimage.gaussian_filter1d(path, 2.5, axis=0, mode="nearest")


def _small_bowel_path(rng: np.random.Generator) -> Path:
    """Return a winding path that fills the middle of the belly."""
    count = int(rng.integers(70, 110))
    corners = np.empty((count, 4))
    place, heading = rng.normal(0, 0.4, 3), rng.normal(0, 1, 3)
    for row in corners:
        heading = 0.55 * heading + rng.normal(0, 0.75, 3) - 0.9 * place * np.linalg.norm(place)
        place = place + 0.36 * heading / np.linalg.norm(heading)
        row[:3] = _SMALL_CENTRE + np.clip(place, -1.15, 1.15) * _SMALL_HALF
    corners[:, 3] = np.clip(rng.normal(10.5, 1.6, count), 6.0, 16.0) * np.exp(rng.normal(0, 0.1))
    return _resampled(corners)


def _paint_segments(
    canvas: Canvas,
    path: Path,
    scale: float,
    warp: Warp,
    rng: np.random.Generator,
    *,
    length: int,
    gas_chance: float,
) -> None:
    """Paint a tube piece by piece, each with its own content."""
    mucosa = Tissue.BOWEL_MUCOSA if rng.random() < 0.5 else Tissue.BOWEL_WALL
    for start in range(0, max(len(path) - 3, 1), length):
        surface = tube(path[start : start + length + 2] * scale)
        kind = rng.random()
        gas = float(rng.uniform(0.3, 1.0)) if kind < gas_chance else 0.0
        content = mucosa if kind > 0.85 else Tissue.BOWEL_CONTENT  # collapsed loops show mucosa alone
        moved = surface.moved(warp(surface.vertices))
        canvas.paint_hollow(moved, mucosa, content, over=_OVER, gas_share=gas)
