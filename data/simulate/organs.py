"""The organs, vessels and nodes: ellipsoids and tubes by the figures, each varied on its own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from marrowmap.data.simulate.bowel import paint_bowel
from marrowmap.data.simulate.canvas import Canvas
from marrowmap.data.simulate.chest import paint_chambers, paint_organ_vessels
from marrowmap.data.simulate.figures import (
    LYMPH_NODES,
    ORGAN_ELLIPSOIDS,
    STATURE_MM,
    TRACHEA,
    VESSELS,
)
from marrowmap.data.simulate.labels import Tissue
from marrowmap.data.simulate.pelvis import paint_sex
from marrowmap.data.simulate.person import Person
from marrowmap.data.simulate.posture import Warp
from marrowmap.data.simulate.shapes import Surface, ellipsoid, tube

#: Painting order: what comes later wins. (spread of the size as log, spread of the place in mm)
_ORDER: tuple[tuple[str, Tissue, float, float], ...] = (
    ("lung_r", Tissue.LUNG, 0.06, 3.0),
    ("lung_l", Tissue.LUNG, 0.06, 3.0),
    ("heart", Tissue.HEART, 0.07, 5.0),
    ("thymus", Tissue.VISCERAL_FAT, 0.1, 2.0),
    ("liver", Tissue.LIVER, 0.08, 6.0),
    ("spleen", Tissue.SPLEEN, 0.16, 6.0),
    ("pancreas", Tissue.PANCREAS, 0.1, 5.0),
    ("kidney_r", Tissue.KIDNEY, 0.09, 7.0),
    ("kidney_l", Tissue.KIDNEY, 0.09, 7.0),
    ("adrenal_r", Tissue.ADRENAL, 0.15, 2.0),
    ("adrenal_l", Tissue.ADRENAL, 0.15, 2.0),
    ("gallbladder", Tissue.GALLBLADDER, 0.2, 4.0),
    ("bladder", Tissue.BLADDER, 0.22, 3.0),
    ("thyroid", Tissue.THYROID, 0.12, 2.0),
    ("oesophagus", Tissue.MUSCLE, 0.1, 1.0),
)
_HEAD: tuple[tuple[str, Tissue], ...] = (
    ("tongue", Tissue.TONGUE), ("salivary_r", Tissue.SALIVARY_GLAND), ("salivary_l", Tissue.SALIVARY_GLAND),
    ("eye_r", Tissue.EYE), ("eye_l", Tissue.EYE), ("tonsils", Tissue.LYMPH_NODE),
)  # fmt: skip
_INSIDE = frozenset({Tissue.SUBCUTANEOUS_FAT, Tissue.VISCERAL_FAT, Tissue.MUSCLE, Tissue.LUNG, Tissue.HEART,
                     Tissue.LIVER, Tissue.STOMACH, Tissue.BOWEL_CONTENT, Tissue.BOWEL_WALL, Tissue.GAS,
                     Tissue.PANCREAS, Tissue.SPLEEN, Tissue.KIDNEY, Tissue.BOWEL_MUCOSA})  # fmt: skip
_SOFT = frozenset({Tissue.SUBCUTANEOUS_FAT, Tissue.VISCERAL_FAT, Tissue.MUSCLE})
_HEAD_SHIFT_MM = 22.0
#: Beyond the stations of the figures (general anatomy).
_PHARYNX = ((-11, 26, 584, 9), (-8, 30, 610, 7), (-4, 34, 640, 7), (-2, 36, 668, 7), (0, 46, 700, 8))
_LEG_VESSELS = tuple(
    tuple((side * x, y, z, radius) for x, y, z, radius in line)
    for side in (1, -1)
    for line in (((66, 30, -25, 6), (70, 26, -80, 5.5), (76, 14, -150, 5), (76, 0, -230, 4.5)),
                 ((72, 24, -40, 4), (92, 8, -100, 3), (98, 0, -190, 2.5)))
)  # fmt: skip

#: Kidneys: hilum towards the middle, in shares of the half axes.
_SINUS_SHIFT = (0.45, 0.15, 0.0)


def paint_organs(canvas: Canvas, person: Person, warp: Warp, rng: np.random.Generator) -> None:
    """Paint organs, great vessels, airway and lymph nodes into the soft body.

    Args:
        canvas: Painted in place.
        person: Sets size and sex.
        warp: Deformation of the body.
        rng: Source of each organ's own size and place.
    """
    scale = person.stature_mm / STATURE_MM
    for name, tissue, spread, place in _ORDER:
        if name == "kidney_r":  # bowel lies before the kidneys and yields to them
            paint_bowel(canvas, scale, warp, rng)
        size = float(np.exp(rng.normal(0, spread)))
        shift = rng.normal(0, place * 0.6, size=3)
        surfaces = _bodies(ORGAN_ELLIPSOIDS[name], scale, size, shift, warp)
        for surface in surfaces:
            if name == "heart":
                _paint_around(canvas, surface, rng)
            canvas.paint(surface, tissue, over=_INSIDE)
        if name.startswith("kidney"):
            _paint_kidney_inside(canvas, ORGAN_ELLIPSOIDS[name][0], scale, size, shift, warp)
    paint_chambers(canvas, scale, warp, rng)
    _paint_head(canvas, scale, warp, rng)
    _paint_vessels(canvas, scale, warp)
    paint_organ_vessels(canvas, scale, warp, rng)
    _paint_cysts(canvas, person, rng)
    paint_sex(canvas, person, scale, warp, rng)
    _paint_nodes(canvas, person, warp, rng)


def _paint_around(canvas: Canvas, surface: Surface, rng: np.random.Generator) -> None:
    """Paint the fat that surrounds the heart."""
    centre = surface.vertices.mean(axis=0)
    grown = surface.moved(centre + (surface.vertices - centre) * rng.uniform(1.08, 1.2))
    canvas.paint(grown, Tissue.VISCERAL_FAT, over=frozenset({Tissue.LUNG}))


def _paint_kidney_inside(
    canvas: Canvas, row: Sequence[float], scale: float, size: float, shift: np.ndarray, warp: Warp
) -> None:
    """Paint the medulla and, open to the middle, the fat and the pelvis of the sinus."""
    inward = -np.sign(row[0])
    layers = (
        (Tissue.RENAL_MEDULLA, 0.74, 0.0, frozenset({Tissue.KIDNEY})),
        (Tissue.VISCERAL_FAT, 0.5, 1.0, frozenset({Tissue.KIDNEY, Tissue.RENAL_MEDULLA})),
        (Tissue.BLADDER, 0.2, 1.0, frozenset({Tissue.VISCERAL_FAT})),
    )
    for tissue, share, moved, over in layers:
        inner = np.array(row, dtype=np.float64)
        inner[:3] += moved * np.array([inward, 1.0, 0.0]) * np.array(_SINUS_SHIFT) * inner[3:6]
        inner[3:6] *= share
        for surface in _bodies([inner.tolist()], scale, size, shift, warp):
            canvas.paint(surface, tissue, over=over)


def _paint_cysts(canvas: Canvas, person: Person, rng: np.random.Generator) -> None:
    """Paint simple cysts into liver and kidneys: harmless, common with age, bright where fluid is."""
    for organ, mean in ((Tissue.LIVER, 0.3), (Tissue.KIDNEY, 0.012 * (person.age_years - 20))):
        inside = np.flatnonzero(canvas.tissue == organ)
        for _ in range(int(rng.poisson(mean)) if inside.size else 0):
            centre = np.array(np.unravel_index(inside[rng.integers(inside.size)], canvas.tissue.shape))
            place = canvas.origin_mm + canvas.spacing_mm * centre
            axes = rng.uniform(3, 13) * rng.uniform(0.85, 1.0, 3)
            surface = ellipsoid((*place, *axes, 0, 0, 0, 2.0))
            canvas.paint(surface, Tissue.GALLBLADDER, over=_INSIDE | {Tissue.RENAL_MEDULLA})


def _bodies(
    rows: Sequence[Sequence[float]], scale: float, size: float, shift: np.ndarray, warp: Warp
) -> list[Surface]:
    """Return an organ's ellipsoids, grown about the organ's centre, moved and deformed."""
    centre = np.mean([row[:3] for row in rows], axis=0)
    surfaces = []
    for row in rows:
        changed = np.array(row, dtype=np.float64)
        changed[:3] = (centre + (changed[:3] - centre) * size) * scale + shift
        changed[3:6] *= scale * size
        surface = ellipsoid(tuple(changed))
        surfaces.append(surface.moved(warp(surface.vertices)))
    return surfaces


def _paint_head(canvas: Canvas, scale: float, warp: Warp, rng: np.random.Generator) -> None:
    for name, tissue in _HEAD:
        shift = np.array([8.0, _HEAD_SHIFT_MM, 0.0]) + rng.normal(0, 1.5, size=3)
        for surface in _bodies(ORGAN_ELLIPSOIDS[name], scale, 1.0, shift, warp):
            canvas.paint(surface, tissue, over=_SOFT)


def _paint_vessels(canvas: Canvas, scale: float, warp: Warp) -> None:
    for line in VESSELS.values():
        surface = tube(np.array(line) * scale)
        canvas.paint(surface.moved(warp(surface.vertices)), Tissue.BLOOD, over=_SOFT)
    for line in _LEG_VESSELS:
        surface = tube(np.array(line) * scale, sectors=8)
        canvas.paint(surface.moved(warp(surface.vertices)), Tissue.BLOOD, over=_SOFT)
    for airway in (TRACHEA, _PHARYNX):
        surface = tube(np.array(airway) * scale)
        canvas.paint(surface.moved(warp(surface.vertices)), Tissue.GAS, over=_SOFT)


def _paint_nodes(canvas: Canvas, person: Person, warp: Warp, rng: np.random.Generator) -> None:
    """Paint lymph nodes about their stations, 3 to 10 mm short axis, rarely more."""
    scale = person.stature_mm / 1630.0
    for station in LYMPH_NODES.values():
        centre, spread = np.array(station[:3]), np.array(station[3:6])
        for _ in range(rng.integers(1, 6)):
            place = (centre + rng.normal(0, 1, size=3) * spread) * scale
            short = float(np.clip(rng.lognormal(np.log(4.5), 0.35), 2.5, 11.0)) / 2
            row = (*place, short, short, short * rng.uniform(1.2, 2.2), *rng.normal(0, 0.6, 3), 2.0)
            for surface in _bodies([row], 1.0, 1.0, np.zeros(3), warp):
                canvas.paint(surface, Tissue.LYMPH_NODE, over=_SOFT)
