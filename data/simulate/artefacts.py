"""What an acquisition does to an image after partial volume: cheap, in place where it can be.

Every function takes float32 `(a, b, c)` of one station with the number of the axis it acts along, and returns
an array of the same axes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from marrowmap.data.simulate.labels import Bone, Tissue
from marrowmap.data.simulate.sampling import Volume32

if TYPE_CHECKING:
    from marrowmap.data.simulate.anatomy import Anatomy

Points = npt.NDArray[np.float64]

#: How far a void reaches beyond the metal, by readout: spin echo, gradient echo, echo-planar.
SPIN_ECHO_VOID, GRADIENT_ECHO_VOID, ECHO_PLANAR_VOID = 1.0, 1.5, 2.2
_VOID_EDGE_MM = 2.5


def cross_talk(values: Volume32, axis: int, strength: float) -> Volume32:
    """Return slices that excite their neighbours: 12 % of each at most, every other one up to 6 % darker."""
    share = np.float32(0.12 * strength)
    across = np.moveaxis(values, axis, 0)
    mixed = across * (1 - 2 * share)
    mixed[1:] += share * across[:-1]
    mixed[:-1] += share * across[1:]
    mixed[0] += share * across[0]
    mixed[-1] += share * across[-1]
    mixed[::2] *= np.float32(1 - 0.06 * strength)
    return np.moveaxis(mixed, 0, axis)


def ghosted(values: Volume32, axis: int, *, shift: int, share: float) -> Volume32:
    """Return an image with a faint copy of itself moved along the phase axis, folded at the border."""
    copy = np.roll(values, shift, axis=axis)
    copy *= np.float32(share)
    copy += values
    return copy


def wrapped_around(values: Volume32, axis: int, cut: int) -> Volume32:
    """Return an image whose field of view lost `cut` voxels at both ends, what stood there folded in."""
    if cut < 1:
        return values
    along = np.moveaxis(values, axis, 0)
    seen = along[cut:-cut].copy()
    seen[-cut:] += along[:cut]
    seen[:cut] += along[-cut:]
    return np.moveaxis(seen, 0, axis)


def breathing(values: Volume32, axis: int, weight: Volume32, *, shift: int, is_held: bool) -> Volume32:
    """Return an image of a body that breathes.

    Args:
        values: float32 `(a, b, c)`.
        axis: The one along the body.
        weight: float32, broadcasts against `values`: 1 where tissue moves in full, 0 where it rests.
        shift: How far, in voxels; signed.
        is_held: True for one breath-hold at another depth (moved), False for free breathing (smeared).
    """
    moved = _moved(values, axis, shift)
    if not is_held:
        moved += _moved(values, axis, -shift)
        moved *= np.float32(0.5)
    moved -= values
    moved *= weight
    moved += values
    return moved


def breathing_steps(values: Volume32, follow: Volume32, *, move: float) -> Volume32:
    """Return an image whose odd slices were taken at another depth of breath than the even ones.

    Slices are excited in two packages, one after the other; between them the front of the body has moved.

    Args:
        values: float32 `(slice, across, back to front)` of axial slices.
        follow: float32, broadcasts against `values`: 1 where tissue moves in full, 0 where it rests.
        move: How far the front moves forward, in voxels of the last axis.
    """
    stepped = values.copy()
    place = np.arange(values.shape[2], dtype=np.float32)
    for number in range(1, len(values), 2):
        origin = np.clip(place - move * follow[number, 0], 0, values.shape[2] - 1)
        low = np.minimum(origin.astype(np.intp), values.shape[2] - 2)
        share = origin - low
        stepped[number] = values[number][:, low] * (1 - share) + values[number][:, low + 1] * share
    return stepped


def _moved(values: Volume32, axis: int, shift: int) -> Volume32:
    """Return an image moved by whole voxels; what comes in at the end repeats the last voxel."""
    count = values.shape[axis]
    return np.take(values, np.clip(np.arange(count) - shift, 0, count - 1), axis=axis)


def noise_amplification(shape: tuple[int, int, int], strength: float) -> Volume32:
    """Return the g-factor of parallel imaging: up to 1.9 in the middle of the plane, 1 at its border.

    Source: Pruessmann, Magn Reson Med 1999;42:952: noise grows where coil profiles overlap.
    """
    middle = [np.cos(np.linspace(-np.pi / 2, np.pi / 2, n)) ** 2 for n in shape[1:]]
    plane = 1 + 0.9 * strength * np.outer(*middle)
    return plane.astype(np.float32)[None]


@dataclass(frozen=True, kw_only=True)
class Metal:
    """Metal in the body.

    Attributes:
        centres_ras_mm: `(n, 3)` of balls that make it up.
        radius_mm: Of the void around each on a spin echo.
    """

    centres_ras_mm: Points
    radius_mm: float


def metal_of(anatomy: Anatomy, rng: np.random.Generator, strength: float) -> Metal | None:
    """Return the metal that a body has, or else some dental work, a hip prosthesis or screws in the spine.

    Args:
        anatomy: Its `Tissue.METAL` voxels count whatever the strength.
        rng: Source of randomness.
        strength: 0 adds none.
    """
    radius = float(rng.uniform(4, 6) + 4 * strength)
    own = np.argwhere(anatomy.tissue[::2, ::2, ::2] == Tissue.METAL) * 2
    if own.size:
        step = max(len(own) // 40, 1)
        return Metal(centres_ras_mm=_to_mm(anatomy, own[::step]), radius_mm=radius)
    kind = rng.integers(3)
    if strength == 0:
        return None
    bones = ((Bone.MANDIBLE,), (Bone.FEMUR_LEFT, Bone.FEMUR_RIGHT), (Bone.L3, Bone.L4))[kind]
    places = [_placed_in(anatomy, bone, rng, top_only=kind == 1) for bone in bones]
    found = [place for place in places if place is not None]
    if not found:
        return None
    chosen = found[: 1 if kind == 1 else None]
    return Metal(centres_ras_mm=np.concatenate(chosen), radius_mm=radius)


def _placed_in(anatomy: Anatomy, bone: Bone, rng: np.random.Generator, *, top_only: bool) -> Points | None:
    """Return the centres of four balls in a bone, in its upper part if asked; None without the bone."""
    inside = np.argwhere(anatomy.bone[::2, ::2, ::2] == bone) * 2
    if len(inside) < 8:
        return None
    if top_only:
        inside = inside[inside[:, 2] >= np.quantile(inside[:, 2], 0.55)]
    return _to_mm(anatomy, inside[rng.integers(len(inside), size=4)])


def _to_mm(anatomy: Anatomy, voxels: npt.NDArray[np.intp]) -> Points:
    affine = np.asarray(anatomy.affine_ras_mm, dtype=np.float64)
    return voxels @ affine[:3, :3].T + affine[:3, 3]


def void_around(
    metal: Metal, centres_mm: tuple[Points, Points, Points], reach: float
) -> tuple[tuple[slice, slice, slice], Volume32] | None:
    """Return the factor that metal puts on the signal of a station, and the box it is not 1 in.

    Args:
        metal: Where it is.
        centres_mm: Voxel centres along the three axes of the array, each in the RAS+ mm of its own direction
            (`metal` is in the same order of axes).
        reach: How much wider than on a spin echo.

    Returns:
        The box and float32 over it, 0 inside the void, above 1 in the piled-up rim; None out of reach.
    """
    radius = metal.radius_mm * reach
    margin = radius + 4 * _VOID_EDGE_MM
    low, high = metal.centres_ras_mm.min(axis=0) - margin, metal.centres_ras_mm.max(axis=0) + margin
    spans = [np.searchsorted(c, (lo, hi)) for c, lo, hi in zip(centres_mm, low, high, strict=True)]
    if any(start >= stop for start, stop in spans):
        return None
    box = tuple(slice(int(start), int(stop)) for start, stop in spans)
    grids = np.meshgrid(*(c[s] for c, s in zip(centres_mm, box, strict=True)), indexing="ij")
    nearest = np.full(grids[0].shape, np.inf)
    for centre in metal.centres_ras_mm:
        distance = sum(np.square(g - m) for g, m in zip(grids, centre, strict=True))
        np.minimum(nearest, distance, out=nearest)
    beyond = (np.sqrt(nearest) - radius) / _VOID_EDGE_MM
    factor = 1 / (1 + np.exp(-3 * np.clip(beyond, -8, 8)))
    factor *= 1 + 0.25 * reach * np.exp(-np.square(beyond - 1.5))
    return (box[0], box[1], box[2]), factor.astype(np.float32)
