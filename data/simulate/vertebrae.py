"""Vertebrae that are not as the model's: collapsed, or joined to the sacrum."""

from __future__ import annotations

import numpy as np

from marrowmap.data.simulate.labels import Bone
from marrowmap.data.simulate.person import Person
from marrowmap.data.simulate.shapes import Points
from marrowmap.data.simulate.variants import Collapse, Variants


def collapsed(vertices: Points, collapse: Collapse) -> Points:
    """Return a vertebra that has lost height; its arch stays.

    Args:
        vertices: float `(n, 3)` mm, of the whole vertebra.
        collapse: How far and in which shape.

    Returns:
        The moved vertices. A malignant collapse also pushes the rear wall of the body back by up to 5 mm.
    """
    x, y, z = vertices.T
    depth = 0.45 * np.ptp(y)
    wall = y.max() - depth
    front = y > wall
    low, high = z[front].min(), z[front].max()
    forward = np.clip((y - wall) / depth, 0, 1)
    middle = (x[front].min() + x[front].max()) / 2
    aside = np.abs(x - middle) / max(0.5 * np.ptp(x[front]), 1.0)
    if collapse.shape == "wedge":
        loss, fixed = collapse.height_loss * forward, np.full_like(z, low)
    elif collapse.shape == "biconcave":
        hollow = np.clip(1 - aside**2, 0, 1) * np.clip(4 * forward * (1 - forward), 0, 1)
        loss, fixed = collapse.height_loss * hollow, np.full_like(z, (low + high) / 2)
    else:
        loss, fixed = np.full_like(z, collapse.height_loss), np.full_like(z, low)
    moved = vertices.copy()
    moved[front, 2] = (fixed + (z - fixed) * (1 - loss))[front]
    if collapse.cause == "malignant":
        bulge = np.exp(-((aside / 0.5) ** 2) - ((y - wall) / 6.0) ** 2)
        moved[:, 1] -= 5.0 * bulge
    return moved


def sacralised(vertices: Points) -> Points:
    """Return a fifth lumbar vertebra whose broad transverse processes reach the wings of the sacrum."""
    moved = vertices.copy()
    middle = vertices.mean(axis=0)
    aside = np.clip((np.abs(vertices[:, 0] - middle[0]) - 20.0) / 15.0, 0, 1)
    moved[:, 0] += np.sign(vertices[:, 0] - middle[0]) * 10.0 * aside
    moved[:, 2] = middle[2] + (vertices[:, 2] - middle[2]) * (1 + 1.2 * aside) - 9.0 * aside - 3.0
    return moved


def lost_height_mm(person: Person, variants: Variants, bone: Bone) -> float:
    """Return by how much (mm) a vertebra has sunk because of collapses below it."""
    body_mm = 0.0135 * person.stature_mm
    below = [c for c in variants.collapses if c.bone > bone and c.shape != "biconcave"]
    return sum(0.55 * c.height_loss * body_mm for c in below)
