"""Closed triangle surfaces of the simple shapes that organs and skin are made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

Points = npt.NDArray[np.float64]
Faces = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Surface:
    """A triangle surface.

    Attributes:
        vertices: float `(n, 3)`, RAS+ mm.
        faces: int `(m, 3)`, vertex indices, all faces oriented alike.
        is_closed: False where holes must be bridged when it is filled.
    """

    vertices: Points
    faces: Faces
    is_closed: bool = True

    def moved(self, vertices: Points) -> Surface:
        """Return the same faces on other vertices."""
        return Surface(vertices, self.faces, self.is_closed)


@lru_cache(maxsize=1)
def _unit_sphere(rings: int = 14, sectors: int = 20) -> tuple[Points, Faces]:
    polar = np.linspace(0, np.pi, rings)[1:-1]
    turn = np.arange(sectors) * 2 * np.pi / sectors
    sines, cosines = np.sin(polar)[:, None], np.cos(polar)[:, None]
    body = np.stack([sines * np.cos(turn), sines * np.sin(turn), cosines + 0 * turn], axis=-1)
    return _close_rings(body[::-1], np.array([0.0, 0.0, -1.0]), np.array([0.0, 0.0, 1.0]))


def _close_rings(rings: Points, first: Points, last: Points) -> tuple[Points, Faces]:
    """Join rings `(r, s, 3)` into a tube and close its ends with two points."""
    count, sectors, _ = rings.shape
    vertices = np.concatenate([rings.reshape(-1, 3), first[None], last[None]])
    here = np.arange(sectors)
    after = (here + 1) % sectors
    faces = []
    for ring in range(count - 1):
        low, high = ring * sectors, (ring + 1) * sectors
        faces.append(np.stack([low + here, low + after, high + after], axis=1))
        faces.append(np.stack([low + here, high + after, high + here], axis=1))
    start, end, top = count * sectors, count * sectors + 1, (count - 1) * sectors
    faces.append(np.stack([np.full(sectors, start), after, here], axis=1))
    faces.append(np.stack([np.full(sectors, end), top + here, top + after], axis=1))
    return vertices, np.concatenate(faces)


def ellipsoid(row: Sequence[float]) -> Surface:
    """Return a superellipsoid from a row of the figures.

    Args:
        row: Centre x, y, z; half axes x, y, z (mm); rotation vector x, y, z (rad); exponent.
    """
    sphere, faces = _unit_sphere()
    exponent = row[9]
    length = (np.abs(sphere) ** exponent).sum(axis=1) ** (-1 / exponent)
    local = sphere * length[:, None] * np.asarray(row[3:6])
    turned = Rotation.from_rotvec(np.asarray(row[6:9])).apply(local)
    return Surface(turned + np.asarray(row[:3]), faces)


def tube(points: npt.ArrayLike, *, sectors: int = 12) -> Surface:
    """Return a tube along a polyline.

    Args:
        points: float `(n, 4)`: x, y, z, radius (mm).
        sectors: Corners of the cross-section.
    """
    path = np.asarray(points, dtype=np.float64)
    along = np.gradient(path[:, :3], axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    helper = np.where(np.abs(along[:, 1:2]) < 0.8, [[0.0, 1.0, 0.0]], [[1.0, 0.0, 0.0]])
    side = np.cross(along, helper)
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    front = np.cross(along, side)
    turn = np.arange(sectors) * 2 * np.pi / sectors
    circle = side[:, None] * np.cos(turn)[:, None] + front[:, None] * np.sin(turn)[:, None]
    rings = path[:, None, :3] + circle * path[:, None, 3:]
    return Surface(*_close_rings(rings, path[0, :3], path[-1, :3]))


def loft(sections: Iterable[Sequence[float]], *, sectors: int = 48) -> Surface:
    """Return the skin through flat sections of rising height.

    Args:
        sections: Rows z; centre x, y; half width; half depth in front and behind; exponent in front
            and behind; rotation in degrees.
        sectors: Corners of a section.
    """
    turn = np.arange(sectors) * 2 * np.pi / sectors
    cosine, sine = np.cos(turn), np.sin(turn)
    rings = []
    for z, cx, cy, width, front, behind, n_front, n_behind, degrees in sections:
        exponent = np.where(sine >= 0, n_front, n_behind)
        depth = np.where(sine >= 0, front, behind)
        u = width * np.sign(cosine) * np.abs(cosine) ** (2 / exponent)
        v = depth * np.sign(sine) * np.abs(sine) ** (2 / exponent)
        a = np.deg2rad(degrees)
        x, y = cx + u * np.cos(a) - v * np.sin(a), cy + u * np.sin(a) + v * np.cos(a)
        rings.append(np.stack([x, y, np.full(sectors, z)], axis=1))
    stacked = np.stack(rings)
    return Surface(*_close_rings(stacked, stacked[0].mean(axis=0), stacked[-1].mean(axis=0)))
