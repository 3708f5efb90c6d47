"""The organs of the sex, in the sizes of adults and their age."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from marrowmap.data.simulate.canvas import Canvas
from marrowmap.data.simulate.figures import ORGAN_ELLIPSOIDS
from marrowmap.data.simulate.labels import Tissue
from marrowmap.data.simulate.person import Person
from marrowmap.data.simulate.posture import Warp
from marrowmap.data.simulate.shapes import Surface, ellipsoid, tube

#: One surface, what it is, and what it may be painted over (None: anything).
Part = tuple[Surface, Tissue, frozenset[Tissue] | None]

_INSIDE = frozenset({Tissue.VISCERAL_FAT, Tissue.MUSCLE, Tissue.SUBCUTANEOUS_FAT, Tissue.BOWEL_CONTENT,
                     Tissue.BOWEL_WALL, Tissue.BOWEL_MUCOSA, Tissue.GAS})  # fmt: skip
_OUTSIDE = frozenset({Tissue.AIR, Tissue.SKIN, Tissue.SUBCUTANEOUS_FAT, Tissue.MUSCLE})


def paint_sex(canvas: Canvas, person: Person, scale: float, warp: Warp, rng: np.random.Generator) -> None:
    """Paint the pelvic organs and breasts of a man or a woman.

    Args:
        canvas: Painted in place.
        person: Sex, age and build.
        scale: The person's size against the figures.
        warp: Deformation of the body.
        rng: Source of size and place.
    """
    parts = _male_parts if person.sex == "M" else _female_parts
    for surface, tissue, over in parts(person, rng):
        canvas.paint(surface.moved(warp(surface.vertices * scale)), tissue, over=over)


def _ellipsoid(*row: float) -> Surface:
    return ellipsoid((*row, 0.0, 0.0, 0.0, 2.0))


def _male_parts(person: Person, rng: np.random.Generator) -> Iterator[Part]:
    """Prostate (20 to 80 ml, growing with age), seminal vesicles, testes (12 to 25 ml), penis."""
    grow = float(np.exp(0.008 * (person.age_years - 55) + rng.normal(0, 0.1)))
    yield _ellipsoid(0, -8, -20, 24 * grow, 16 * grow, 18 * grow), Tissue.PERIPHERAL_ZONE, _INSIDE
    yield (
        _ellipsoid(0, -3, -18, 18 * grow, 12 * grow, 15 * grow),
        Tissue.PROSTATE,
        frozenset({Tissue.PERIPHERAL_ZONE}),
    )
    for side in (-1, 1):
        yield _ellipsoid(side * 18, -28, 6, 20, 7, 8), Tissue.PERIPHERAL_ZONE, _INSIDE
    hang, apart = rng.uniform(-138, -112), rng.uniform(14, 19)
    size = float(np.exp(rng.normal(0, 0.08)))
    for side in (-1, 1):
        yield _ellipsoid(side * apart, 46, hang, 20 * size, 22 * size, 30 * size), Tissue.SKIN, _OUTSIDE
    yield _penis(16.0), Tissue.SKIN, _OUTSIDE
    yield _penis(12.5), Tissue.CAVERNOUS_BODY, _OUTSIDE
    for side in (-1, 1):
        place = (side * apart + rng.normal(0, 2), 46 + rng.normal(0, 3), hang + rng.normal(0, 5))
        yield _ellipsoid(*place, 13 * size, 15 * size, 22 * size), Tissue.TESTIS, None


def _penis(radius_mm: float) -> Surface:
    line = ((0, 18, -58), (0, 44, -62), (0, 62, -82), (0, 70, -120))
    return tube([(*point, radius_mm) for point in line])


def _female_parts(person: Person, rng: np.random.Generator) -> Iterator[Part]:
    """Uterus with its endometrium, ovaries with follicles (both shrink after the menopause), breasts."""
    fertile = float(np.clip((55 - person.age_years) / 25, 0.0, 1.0))
    tilt = rng.uniform(-0.5, 0.9)
    axes = np.array([22 + 8 * fertile, 20 + 8 * fertile, 30 + 14 * fertile]) * np.exp(rng.normal(0, 0.08))
    x, y, z = rng.normal(0, 5), -20 + rng.normal(0, 4), 46 + rng.normal(0, 4)
    yield ellipsoid((x, y, z, *axes, -tilt, 0, 0, 2.2)), Tissue.UTERUS, _INSIDE
    lining = (axes[0] * 0.6, 1.5 + 3.0 * fertile * rng.uniform(0.4, 1.3), axes[2] * 0.62)
    over = frozenset({Tissue.UTERUS})
    yield ellipsoid((x, y, z, *lining, -tilt, 0, 0, 2.0)), Tissue.ENDOMETRIUM, over
    for _ in range(int(rng.poisson(0.6))):  # fibroids
        place = np.array([x, y, z]) + rng.normal(0, 0.6, 3) * axes
        yield _ellipsoid(*place, *(rng.uniform(6, 16) * np.ones(3))), Tissue.MUSCLE, over
    for side in (-1, 1):
        place = np.array([side * 38 + rng.normal(0, 6), -18 + rng.normal(0, 6), 50 + rng.normal(0, 6)])
        ovary = np.array([14.0, 9.0, 11.0]) * (0.55 + 0.45 * fertile)
        yield _ellipsoid(*place, *ovary), Tissue.OVARY, _INSIDE
        for _ in range(int(rng.poisson(4 * fertile))):
            spot = place + rng.normal(0, 0.45, 3) * ovary
            yield _ellipsoid(*spot, *(rng.uniform(2.5, 7) * np.ones(3))), Tissue.GALLBLADDER, None
    yield from _breasts(person)


def _breasts(person: Person) -> Iterator[Part]:
    growth = 3.6 * float(np.exp(0.15 * person.adiposity))
    for row in (*ORGAN_ELLIPSOIDS["breast_r"], *ORGAN_ELLIPSOIDS["breast_l"]):
        axes = (min(axis * growth, 34.0) for axis in row[3:6])
        surface = ellipsoid((row[0], row[1] - 8, row[2], *axes, *row[6:]))
        yield surface, Tissue.BREAST, frozenset({Tissue.SUBCUTANEOUS_FAT})
