"""The chest's inside: chambers of the heart, great vessels, vessels of lungs and liver."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from marrowmap.data.simulate.canvas import Canvas
from marrowmap.data.simulate.labels import Tissue
from marrowmap.data.simulate.posture import Warp
from marrowmap.data.simulate.shapes import ellipsoid, tube

Point = npt.NDArray[np.float64]

#: Chambers as ellipsoids of the man of the figures (mm); general anatomy.
_CHAMBERS = {
    "left_ventricle": (-58, 24, 410, 32, 16, 17, 0.0, 0.45, 0.75, 2.0),
    "right_ventricle": (-28, 54, 406, 36, 13, 20, 0.0, 0.35, 0.35, 2.0),
    "left_atrium": (-20, -12, 434, 26, 15, 19, 0.0, 0.0, 0.2, 2.2),
    "right_atrium": (8, 24, 420, 16, 20, 27, 0.0, 0.0, 0.2, 2.2),
}
_PULMONARY = (
    ((-26, 42, 448, 12), (-24, 26, 466, 12), (-22, 8, 474, 11)),
    ((-22, 8, 474, 10), (10, 2, 468, 9), (30, -8, 462, 8)),
    ((-24, 6, 474, 10), (-46, -6, 472, 9), (-58, -18, 466, 8)),
)
_BRONCHI = (
    ((-8, -8, 512, 8), (6, -16, 486, 6.5), (26, -24, 466, 5)),
    ((-10, -8, 512, 8), (-28, -18, 486, 6), (-50, -26, 462, 5)),
)
_HILA = {1.0: (30.0, -14.0, 456.0), -1.0: (-56.0, -20.0, 458.0)}
_PORTA, _HEPATIC = (30.0, 8.0, 312.0), (20.0, 2.0, 362.0)
_LIVER_MIDDLE = np.array([70.0, 6.0, 340.0])


def paint_chambers(canvas: Canvas, scale: float, warp: Warp, rng: np.random.Generator) -> None:
    """Hollow the heart: blood in four chambers, muscle around them, pulmonary arteries and main bronchi."""
    grow = float(np.exp(rng.normal(0, 0.07)))
    for row in _CHAMBERS.values():
        changed = np.array(row, dtype=np.float64)
        changed[:3] += rng.normal(0, 2.0, 3)
        changed[:6] *= scale
        changed[3:6] *= grow
        surface = ellipsoid(tuple(changed))
        canvas.paint(surface.moved(warp(surface.vertices)), Tissue.BLOOD, over=frozenset({Tissue.HEART}))
    chest = frozenset({Tissue.LUNG, Tissue.VISCERAL_FAT, Tissue.HEART, Tissue.MUSCLE})
    for line in _PULMONARY:
        _paint_tube(canvas, np.array(line) * scale, warp, Tissue.BLOOD, chest)
    for line in _BRONCHI:
        _paint_tube(canvas, np.array(line) * scale, warp, Tissue.GAS, chest)


def paint_organ_vessels(canvas: Canvas, scale: float, warp: Warp, rng: np.random.Generator) -> None:
    """Paint the branching vessels of lungs and liver."""
    lung, liver = frozenset({Tissue.LUNG}), frozenset({Tissue.LIVER})
    for side, hilum in _HILA.items():
        for _ in range(9):
            reach = rng.normal(0, 1, 3) * [0.6, 0.8, 1.2] + [side * 0.7, 0.0, 0.0]
            end = np.array(hilum) + 85.0 * reach / np.linalg.norm(reach)
            line = _branch(np.array(hilum), end, (4.0, 1.2), rng)
            _paint_tube(canvas, line * scale, warp, Tissue.BLOOD, lung)
    for root, width in ((_PORTA, 5.5), (_HEPATIC, 5.0)):
        for _ in range(6):
            end = _LIVER_MIDDLE + rng.normal(0, 1, 3) * [42.0, 42.0, 36.0]
            line = _branch(np.array(root), end, (width, 1.4), rng)
            _paint_tube(canvas, line * scale, warp, Tissue.BLOOD, liver)


def _branch(start: Point, end: Point, radii: tuple[float, float], rng: np.random.Generator) -> Point:
    """Return a bent line from one place to another that narrows, `(6, 4)`."""
    share = np.linspace(0, 1, 6)[:, None]
    bend = rng.normal(0, 8.0, 3) * np.sin(np.pi * share)
    return np.concatenate([start + share * (end - start) + bend, np.interp(share, (0, 1), radii)], axis=1)


def _paint_tube(canvas: Canvas, line: Point, warp: Warp, tissue: Tissue, over: frozenset[Tissue]) -> None:
    surface = tube(line, sectors=8)
    canvas.paint(surface.moved(warp(surface.vertices)), tissue, over=over)
