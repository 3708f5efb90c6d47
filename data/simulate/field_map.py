"""The main field inside a body, and what it does to echo-planar images.

Air in lungs, sinuses and bowel bends the field; the scanner shims each station with linear terms; what is
left moves echo-planar signal along the phase axis and piles it up or thins it out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import fft

from marrowmap.data.simulate.labels import Tissue
from marrowmap.data.simulate.sampling import Axis, Volume32, axis_weights, sample

if TYPE_CHECKING:
    from marrowmap.data.simulate.anatomy import Anatomy

#: Volume susceptibilities in ppm. Source: Schenck, Med Phys 1996;23:815; lung is two thirds air.
_AIR, _LUNG, _TISSUE = 0.36, -2.8, -9.05
_HZ_PER_PPM_AT_1_T = 42.577
#: Time between echoes after parallel imaging at full strength, and the field of view along phase.
_ECHO_SPACING_S = 0.00025
_FIELD_OF_VIEW_MM = 380.0
#: Beyond this signal is lost, or the scanner's own correction has taken it back.
_LARGEST_SHIFT_MM = 6.0
#: Voxels of the body that make up one of the map along each axis, taken by every second one.
_STRIDE = 4


@dataclass(frozen=True, kw_only=True)
class FieldMap:
    """The field's deviation inside one body before shimming.

    Attributes:
        ppm: float32 `(x, y, z)`.
        is_body: bool `(x, y, z)`.
        first_mm: Centre of the first voxel, RAS+ mm.
        step_mm: Voxel side.
    """

    ppm: Volume32
    is_body: npt.NDArray[np.bool_]
    first_mm: tuple[float, float, float]
    step_mm: float

    @classmethod
    def of(cls, anatomy: Anatomy) -> FieldMap:
        """Return the field of a body in a main field along z."""
        table = np.full(256, _TISSUE, dtype=np.float32)
        table[[Tissue.AIR, Tissue.GAS]] = _AIR
        table[Tissue.LUNG] = _LUNG
        chi = _halved(table[anatomy.tissue[::2, ::2, ::2]])
        affine = np.asarray(anatomy.affine_ras_mm, dtype=np.float64)
        body_step = float(affine[0, 0])
        x, y, z = (float(affine[axis, 3]) + body_step for axis in range(3))
        is_body = chi < (_TISSUE + _LUNG) / 2
        return cls(ppm=_dipole(chi), is_body=is_body, first_mm=(x, y, z), step_mm=_STRIDE * body_step)

    def shimmed(self, low_mm: float, high_mm: float) -> Volume32:
        """Return what is left of the field after the best linear shim between two heights, ppm."""
        index = [
            first + self.step_mm * np.arange(n)
            for first, n in zip(self.first_mm, self.ppm.shape, strict=True)
        ]
        within = self.is_body & ((index[2] >= low_mm) & (index[2] <= high_mm))
        if np.count_nonzero(within) < 8:
            return np.zeros_like(self.ppm)
        terms = [g / 100.0 for g in np.meshgrid(*index, indexing="ij", sparse=True)]
        design = np.stack(
            [np.ones(np.count_nonzero(within)), *(np.broadcast_to(t, within.shape)[within] for t in terms)]
        )
        shim = np.linalg.lstsq(design.T, self.ppm[within], rcond=None)[0]
        fitted = shim[0] + sum(c * t for c, t in zip(shim[1:], terms, strict=True))
        return (self.ppm - fitted).astype(np.float32)


def shift_in_station(
    field: FieldMap,
    axes: tuple[Axis, Axis, Axis],
    *,
    order: tuple[int, int, int],
    field_strength_t: float,
    strength: float,
) -> Volume32:
    """Return how far echo-planar signal moves along the phase axis in a station, mm.

    Args:
        field: Of the body.
        axes: The station's voxels along x, y, z.
        order: Which of x, y, z each axis of the result is.
        field_strength_t: The shift grows with it.
        strength: 1 is an echo spacing of 0.25 ms; the sign is the polarity of the blips.

    Returns:
        float32 `(a, b, c)`, at most 6 mm.
    """
    z = axes[2].centres_mm
    ppm = field.shimmed(float(z.min()), float(z.max()))
    weights = []
    for axis in order:
        weights.append(
            axis_weights(
                axes[axis],
                body_first_mm=field.first_mm[axis],
                body_step_mm=field.step_mm,
                body_count=ppm.shape[axis],
            )
        )
    used = [slice(None)] * 3
    for axis, weight in zip(order, weights, strict=True):
        used[axis] = weight.used
    here = sample(
        np.ascontiguousarray(ppm[tuple(used)].transpose(order)), (weights[0], weights[1], weights[2])
    )
    hz_to_mm = strength * _ECHO_SPACING_S * _FIELD_OF_VIEW_MM
    shift = here * np.float32(_HZ_PER_PPM_AT_1_T * field_strength_t * hz_to_mm / _LARGEST_SHIFT_MM)
    return np.tanh(shift) * np.float32(_LARGEST_SHIFT_MM)


@dataclass(frozen=True, kw_only=True)
class Distortion:
    """One station's distortion, ready for all its images.

    Attributes:
        axis: The phase axis of the arrays.
        below: intp, flat index of the lower of the two voxels that each comes from.
        step: How far apart these two are in the flat array.
        part: float32, weight of the upper one.
        density: float32, how much the signal is piled up.
    """

    below: npt.NDArray[np.intp]
    step: int
    part: Volume32
    density: Volume32

    @classmethod
    def of(cls, shift_mm: Volume32, axis: int, step_mm: float) -> Distortion:
        """Return the distortion of arrays shaped like a shift along one axis."""
        count = shift_mm.shape[axis]
        shift = shift_mm / np.float32(step_mm)
        shape = [count if a == axis else 1 for a in range(3)]
        source = np.clip(np.arange(count, dtype=np.float32).reshape(shape) - shift, 0, count - 1.001)
        low = source.astype(np.intp)
        stride = int(np.prod(shift.shape[axis + 1 :], dtype=int))
        own = np.arange(shift.size, dtype=np.intp).reshape(shift.shape)
        below = own + (low - np.arange(count).reshape(shape)) * stride
        density = np.clip(1 - np.gradient(shift, axis=axis), 0.3, 2.5).astype(np.float32)
        part = (source - low).astype(np.float32)
        return cls(below=below, step=stride, part=part, density=density)

    def applied(self, values: Volume32) -> Volume32:
        """Return an image as the distorted readout shows it."""
        flat = np.ascontiguousarray(values).ravel()
        low = flat[self.below]
        seen: Volume32 = flat[self.below + self.step]
        seen -= low
        seen *= self.part
        seen += low
        seen *= self.density
        return seen


def _halved(values: Volume32) -> Volume32:
    i, j, k = (n // 2 * 2 for n in values.shape)
    return values[:i, :j, :k].reshape(i // 2, 2, j // 2, 2, k // 2, 2).mean(axis=(1, 3, 5), dtype=np.float32)


def _dipole(chi: Volume32) -> Volume32:
    """Return the field of a susceptibility map in a field along z, ppm.

    Source: Marques and Bowtell, Concepts Magn Reson B 2005;25:65.
    """
    pads = [(8, 8), (8, 8), (24, 24)]
    # The body goes on beyond the grid at the thighs; beside and before it there is air.
    padded = np.pad(
        np.pad(chi, [pads[0], pads[1], (0, 0)], constant_values=_AIR), [(0, 0), (0, 0), pads[2]], mode="edge"
    )
    a, b, c = (int(fft.next_fast_len(n, real=True) or n) for n in padded.shape)
    kx, ky, kz = np.fft.fftfreq(a)[:, None, None], np.fft.fftfreq(b)[:, None], np.fft.rfftfreq(c)
    squared = kx**2 + ky**2 + kz**2
    squared[0, 0, 0] = 1.0
    kernel = (1 / 3 - kz**2 / squared).astype(np.float32)
    spectrum = np.asarray(fft.rfftn(padded - np.float32(_AIR), (a, b, c))) * kernel
    field: Volume32 = np.asarray(fft.irfftn(spectrum, (a, b, c)), dtype=np.float32)
    i, j, k = chi.shape
    return field[8 : 8 + i, 8 : 8 + j, 24 : 24 + k]
