"""The organs, vessels and nodes: ellipsoids and tubes by the figures, each varied on its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from marrowmap.data.simulate.canvas import Canvas
from marrowmap.data.simulate.figures import (
    LYMPH_NODES,
    ORGAN_ELLIPSOIDS,
    STATURE_MM,
    TRACHEA,
    VESSELS,
)
from marrowmap.data.simulate.labels import Tissue
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
    ("stomach", Tissue.STOMACH, 0.15, 8.0),
    ("spleen", Tissue.SPLEEN, 0.16, 6.0),
    ("pancreas", Tissue.PANCREAS, 0.1, 5.0),
    ("small_bowel", Tissue.BOWEL_CONTENT, 0.12, 8.0),
    ("colon", Tissue.BOWEL_CONTENT, 0.12, 8.0),
    ("kidney_r", Tissue.KIDNEY, 0.09, 7.0),
    ("kidney_l", Tissue.KIDNEY, 0.09, 7.0),
    ("adrenal_r", Tissue.ADRENAL, 0.15, 2.0),
    ("adrenal_l", Tissue.ADRENAL, 0.15, 2.0),
    ("gallbladder", Tissue.GALLBLADDER, 0.2, 4.0),
    ("rectum", Tissue.BOWEL_CONTENT, 0.15, 3.0),
    ("bladder", Tissue.BLADDER, 0.22, 3.0),
    ("thyroid", Tissue.THYROID, 0.12, 2.0),
    ("oesophagus", Tissue.MUSCLE, 0.1, 1.0),
)
_HEAD: tuple[tuple[str, Tissue], ...] = (
    ("tongue", Tissue.TONGUE), ("salivary_r", Tissue.SALIVARY_GLAND), ("salivary_l", Tissue.SALIVARY_GLAND),
    ("eye_r", Tissue.EYE), ("eye_l", Tissue.EYE), ("tonsils", Tissue.LYMPH_NODE),
)  # fmt: skip
_HOLLOW = {"small_bowel": (Tissue.BOWEL_WALL, 0.30), "colon": (Tissue.BOWEL_WALL, 0.45),
           "stomach": (Tissue.STOMACH, 0.35), "rectum": (Tissue.BOWEL_WALL, 0.3)}  # fmt: skip
_INSIDE = frozenset({Tissue.SUBCUTANEOUS_FAT, Tissue.VISCERAL_FAT, Tissue.MUSCLE, Tissue.LUNG, Tissue.HEART,
                     Tissue.LIVER, Tissue.STOMACH, Tissue.BOWEL_CONTENT, Tissue.BOWEL_WALL, Tissue.GAS,
                     Tissue.PANCREAS, Tissue.SPLEEN, Tissue.KIDNEY})  # fmt: skip
_SOFT = frozenset({Tissue.SUBCUTANEOUS_FAT, Tissue.VISCERAL_FAT, Tissue.MUSCLE})
_HEAD_SHIFT_MM = 22.0

#: One ellipsoid, what it is, and what it may be painted over (None: anything).
Part = tuple[Sequence[float], Tissue, frozenset[Tissue] | None]


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
        size = float(np.exp(rng.normal(0, spread)))
        shift = rng.normal(0, place * 0.6, size=3)
        surfaces = _bodies(ORGAN_ELLIPSOIDS[name], scale, size, shift, warp)
        for surface in surfaces:
            if name in _HOLLOW:
                wall, gas_share = _HOLLOW[name]
                content = Tissue.GAS if rng.random() < gas_share else Tissue.BOWEL_CONTENT
                canvas.paint_hollow(surface, wall, content, over=_INSIDE)
            else:
                canvas.paint(surface, tissue, over=_INSIDE)
    _paint_head(canvas, scale, warp, rng)
    _paint_vessels(canvas, scale, warp)
    _paint_sex(canvas, person, scale, warp, rng)
    _paint_nodes(canvas, person, warp, rng)


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
    surface = tube(np.array(TRACHEA) * scale)
    canvas.paint(surface.moved(warp(surface.vertices)), Tissue.GAS, over=_SOFT)


def _paint_sex(canvas: Canvas, person: Person, scale: float, warp: Warp, rng: np.random.Generator) -> None:
    """Paint the pelvic organs and breasts of the sex."""
    parts = _male_parts if person.sex == "M" else _female_parts
    for row, tissue, over in parts(person):
        for surface in _bodies([row], scale, 1.0, rng.normal(0, 2, 3), warp):
            canvas.paint(surface, tissue, over=over)


def _male_parts(_: Person) -> Iterator[Part]:
    for name, tissue in (
        ("prostate", Tissue.PROSTATE),
        ("testis_r", Tissue.TESTIS),
        ("testis_l", Tissue.TESTIS),
    ):
        for row in ORGAN_ELLIPSOIDS[name]:
            yield row, tissue, None


def _female_parts(person: Person) -> Iterator[Part]:
    """List uterus, ovaries (they shrink after the menopause) and breasts."""
    fertile = float(np.clip((55 - person.age_years) / 25, 0.0, 1.0))
    uterus = (22 + 8 * fertile, 26 + 8 * fertile, 24 + 12 * fertile)
    yield (0, -22, 48, *uterus, 0.4, 0, 0, 2.2), Tissue.UTERUS, _INSIDE
    if fertile > 0.2:
        for side in (-1, 1):
            yield (side * 38, -20, 50, 12, 9, 10, 0, 0, 0, 2), Tissue.OVARY, _INSIDE
    below_skin = frozenset({Tissue.SUBCUTANEOUS_FAT})
    growth = 3.6 * float(np.exp(0.15 * person.adiposity))
    for row in (*ORGAN_ELLIPSOIDS["breast_r"], *ORGAN_ELLIPSOIDS["breast_l"]):
        axes = (min(axis * growth, 34.0) for axis in row[3:6])
        yield (
            (row[0], row[1] - 8, row[2], *axes, *row[6:]),
            Tissue.BREAST,
            below_skin,
        )


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
