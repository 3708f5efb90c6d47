"""Rigid motions that vary from place to place: a moving least squares between matched points.

Source: Schaefer, ACM Trans Graph 2006;25:533 (there in two dimensions).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]

#: Points whose motion is computed at once: bounds the memory of their weights.
_POINTS_AT_ONCE = 2048


@dataclass(frozen=True, kw_only=True, eq=False)
class Motion:
    """Rigid motions between matched points; a plain shift between fewer than three.

    Attributes:
        source_mm: Where points `(n, 3)` were.
        target_mm: Where they are.
        weight: How much each counts `(n,)`.
        radius_mm: Reach of a point's say in the motion around it; infinite: one motion for all.
    """

    source_mm: Points
    target_mm: Points
    weight: Points
    radius_mm: float

    @classmethod
    def shift(cls, shift_mm: Points) -> Motion:
        """Return the motion that shifts everything alike, by `(3,)` mm."""
        return cls(
            source_mm=np.zeros((1, 3)), target_mm=shift_mm[None], weight=np.ones(1), radius_mm=float("inf")
        )

    def moved(self, points_mm: Points) -> Points:
        """Return where points `(n, 3)` are moved to."""
        parts = range(0, len(points_mm), _POINTS_AT_ONCE)
        found = [self._moved(points_mm[start : start + _POINTS_AT_ONCE]) for start in parts]
        return np.concatenate(found) if found else points_mm.copy()

    def _moved(self, points_mm: Points) -> Points:
        if len(self.source_mm) < 3:
            return points_mm + (self.target_mm - self.source_mm).mean(axis=0)
        weight = np.broadcast_to(self.weight, (len(points_mm), len(self.weight)))
        if np.isfinite(self.radius_mm):
            squared = ((points_mm[:, None] - self.source_mm) ** 2).sum(axis=2)
            # Far from every block the nearest ones still decide: weights are relative to the nearest.
            nearest = squared.min(axis=1, keepdims=True)
            weight = weight * np.exp(-(squared - nearest) / (2 * self.radius_mm**2))
        return _rigid(points_mm, self.source_mm, self.target_mm, weight)


def _rigid(points_mm: Points, source_mm: Points, target_mm: Points, weight: Points) -> Points:
    """Return each point moved by the rigid motion that its own weights `(points, matches)` fit best."""
    weight = weight / weight.sum(axis=1, keepdims=True)
    middle, goal = weight @ source_mm, weight @ target_mm
    products = (source_mm[:, :, None] * target_mm[:, None, :]).reshape(len(source_mm), 9)
    covariance = (weight @ products).reshape(-1, 3, 3) - middle[:, :, None] * goal[:, None, :]
    u, _, vt = np.linalg.svd(covariance)
    is_mirrored = np.linalg.det(u) * np.linalg.det(vt) < 0
    vt[is_mirrored, 2] *= -1
    rotation = u @ vt  # row vectors: p -> p @ rotation
    return np.einsum("pi,pij->pj", points_mm - middle, rotation) + goal
