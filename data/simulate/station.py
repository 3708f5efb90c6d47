"""One station of one acquisition: where its voxels are, and what becomes of every image taken there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from marrowmap.data.exam import Volume
from marrowmap.data.simulate.artefacts import (
    Metal,
    breathing,
    breathing_steps,
    cross_talk,
    ghosted,
    void_around,
    wrapped_around,
)
from marrowmap.data.simulate.effects import Effect, Effects
from marrowmap.data.simulate.field_map import Distortion
from marrowmap.data.simulate.geometry import BodyGrid, affine_of, filling, stations_along
from marrowmap.data.simulate.labels import Tissue
from marrowmap.data.simulate.protocol import Orientation
from marrowmap.data.simulate.sampling import Axis, AxisWeights, Volume32

if TYPE_CHECKING:
    from marrowmap.data.simulate.anatomy import Anatomy

Weights = tuple[AxisWeights, AxisWeights, AxisWeights]

#: The patient axes in the order of a station's arrays: across the slices first, because that shrinks most.
_ORDER: dict[Orientation, tuple[int, int, int]] = {
    "sagittal": (0, 1, 2),
    "coronal": (1, 0, 2),
    "axial": (2, 0, 1),
}
#: The patient axis of phase encoding.
_PHASE: dict[Orientation, int] = {"sagittal": 1, "coronal": 0, "axial": 1}


@dataclass(frozen=True, kw_only=True)
class Slab:
    """The voxels of one station.

    Attributes:
        x: From left to right, RAS+.
        y: From back to front.
        z: From feet to head.
        orientation: Of its slices.
    """

    x: Axis
    y: Axis
    z: Axis
    orientation: Orientation

    @property
    def order(self) -> tuple[int, int, int]:
        """Which patient axis each axis of the station's arrays is."""
        return _ORDER[self.orientation]

    @property
    def axes(self) -> tuple[Axis, Axis, Axis]:
        """The voxels along the axes of the station's arrays."""
        along = (self.x, self.y, self.z)
        a, b, c = self.order
        return along[a], along[b], along[c]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along the axes of the station's arrays."""
        a, b, c = self.axes
        return a.count, b.count, c.count

    @property
    def phase(self) -> int:
        """The array axis of phase encoding."""
        return self.order.index(_PHASE[self.orientation])

    @property
    def readout(self) -> int:
        """The array axis of the readout: in the slice, across the phase axis."""
        return 3 - self.phase

    @property
    def along_body(self) -> int:
        """The array axis from feet to head."""
        return self.order.index(2)

    def weights(
        self, grid: BodyGrid, *, shift_mm: tuple[float, float, float] = (0.0, 0.0, 0.0), stretch: float = 1.0
    ) -> Weights:
        """Return how the station's voxels average the body, in the order of its arrays.

        Args:
            grid: Of the body.
            shift_mm: How far the body appears moved along each array axis.
            stretch: How much longer it appears along the phase axis.
        """
        a, b, c = (
            grid.weights(patient, axis, shift_mm=shift, stretch=stretch if n == self.phase else 1.0)
            for n, (patient, axis, shift) in enumerate(zip(self.order, self.axes, shift_mm, strict=True))
        )
        return a, b, c

    def under(self, material: npt.NDArray[np.uint16], weights: Weights) -> npt.NDArray[np.uint16]:
        """Return the body's materials that the station needs, a view with axes in the order of its arrays."""
        used: list[slice] = [slice(None)] * 3
        for axis, weight in zip(self.order, weights, strict=True):
            used[axis] = weight.used
        return material[tuple(used)].transpose(self.order)

    def cut(self, voxels: int) -> Slab:
        """Return the station without some voxels at both ends of its phase axis."""
        name = "xyz"[_PHASE[self.orientation]]
        axis: Axis = getattr(self, name)
        shorter = Axis(
            first_mm=axis.first_mm + voxels * axis.step_mm,
            step_mm=axis.step_mm,
            count=axis.count - 2 * voxels,
        )
        return replace(self, **{name: shorter})

    def volume(self, values: Volume32, b_value_s_per_mm2: float | None = None) -> Volume:
        """Return values in the order of the station's arrays as a volume `(x, y, z)`."""
        back = (self.order.index(0), self.order.index(1), self.order.index(2))
        affine = affine_of(self.x, self.y, self.z)
        return Volume(array=values.transpose(back), affine_ras_mm=affine, b_value_s_per_mm2=b_value_s_per_mm2)


def slabs_of(
    grid: BodyGrid,
    orientation: Orientation,
    *,
    spacing_mm: float,
    slice_mm: float,
    number: int,
    overlap_mm: float,
) -> list[Slab]:
    """Return the stations that cover a body, head first.

    Args:
        grid: Of the body.
        orientation: Of the slices.
        spacing_mm: In-plane voxel side.
        slice_mm: Slice step.
        number: How many stations.
        overlap_mm: What neighbours share along the body.
    """
    across = ("sagittal", "coronal", "axial").index(orientation)
    x_step, y_step, z_step = (slice_mm if axis == across else spacing_mm for axis in range(3))
    x, y = filling(grid.span_mm(0), x_step), filling(grid.depth_mm, y_step)
    stations = stations_along(grid.span_mm(2), step_mm=z_step, number=number, overlap_mm=overlap_mm)
    return [Slab(x=x, y=y, z=z, orientation=orientation) for z in stations]


@dataclass(frozen=True, kw_only=True)
class Breath:
    """Which part of a body moves with breathing.

    Attributes:
        middle_mm: Height of the moving part, RAS+ mm.
        back_mm: Behind this nothing moves (the spine).
        front_mm: From here on everything moves in full.
    """

    middle_mm: float
    back_mm: float
    front_mm: float

    @classmethod
    def of(cls, anatomy: Anatomy) -> Breath | None:
        """Return it by where the lungs end; None for a body without lungs."""
        lung = np.argwhere(anatomy.tissue[::4, ::4, ::4] == Tissue.LUNG) * 4
        if len(lung) < 20:
            return None
        affine = np.asarray(anatomy.affine_ras_mm, dtype=np.float64)
        y, z = (lung[:, axis] * affine[axis, axis] + affine[axis, 3] for axis in (1, 2))
        back, front = np.quantile(y, (0.25, 0.9))
        return cls(middle_mm=float(np.quantile(z, 0.05)) + 10, back_mm=float(back), front_mm=float(front))

    def weight(self, slab: Slab) -> Volume32:
        """Return how far tissue follows, 0 to 1, to broadcast against the station's arrays."""
        z = np.exp(-np.square((slab.z.centres_mm - self.middle_mm) / 80))
        y = np.clip((slab.y.centres_mm - self.back_mm) / (self.front_mm - self.back_mm), 0, 1)
        parts = {1: y, 2: z}
        weight = np.ones((1, 1, 1))
        for axis, patient in enumerate(slab.order):
            if patient in parts:
                weight = weight * parts[patient].reshape([-1 if a == axis else 1 for a in range(3)])
        return weight.astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class Spoiler:
    """What becomes of the images of one station between the body and the receiver's noise.

    Attributes:
        slab: The station.
        effects: Which effects are there.
        breath: What moves, None for nothing.
        metal: Where metal is, None for none.
        distortion: Of echo-planar readouts, None for others.
        void_reach: How far metal reaches beyond itself in this readout.
        is_two_dimensional: Slices are excited one by one.
        ghost_shift: In voxels along the phase axis.
    """

    slab: Slab
    effects: Effects
    breath: Breath | None = None
    metal: Metal | None = None
    distortion: Distortion | None = None
    void_reach: float = 1.0
    is_two_dimensional: bool = True
    ghost_shift: int = 0

    def spoiled(self, values: Volume32) -> Volume32:
        """Return the image, float32 `(a, b, c)`, with all its effects in the order they happen."""
        if self.breath is not None and Effect.BREATHING in self.effects:
            values = self._breathed(values, self.breath)
        is_axial = self.slab.orientation == "axial"
        if self.breath is not None and Effect.BREATHING_STEPS in self.effects and is_axial:
            strength = self.effects.of(Effect.BREATHING_STEPS)
            move = (3 + 7 * strength) / self.slab.y.step_mm if self.is_two_dimensional else 0.0
            values = breathing_steps(values, self.breath.weight(self.slab), move=move)
        if self.is_two_dimensional and Effect.CROSS_TALK in self.effects:
            values = cross_talk(values, 0, self.effects.of(Effect.CROSS_TALK))
        if self.distortion is not None:
            values = self.distortion.applied(values)
        if self.metal is not None:
            values = self._with_void(values, self.metal)
        if Effect.GHOSTS in self.effects and self.ghost_shift:
            share = 0.01 + 0.05 * self.effects.of(Effect.GHOSTS)
            values = ghosted(values, self.slab.phase, shift=self.ghost_shift, share=share)
        return values

    def _breathed(self, values: Volume32, breath: Breath) -> Volume32:
        depth_mm = 4 + 10 * self.effects.of(Effect.BREATHING)
        is_held = self.distortion is None and not self.is_two_dimensional
        axis = self.slab.along_body
        depth = max(round(depth_mm / self.slab.z.step_mm / (1 if is_held else 2)), 1)
        return breathing(values, axis, breath.weight(self.slab), shift=depth, is_held=is_held)

    def _with_void(self, values: Volume32, metal: Metal) -> Volume32:
        a, b, c = (axis.centres_mm for axis in self.slab.axes)
        ordered = replace(metal, centres_ras_mm=metal.centres_ras_mm[:, list(self.slab.order)])
        found = void_around(ordered, (a, b, c), self.void_reach)
        if found is not None:
            box, factor = found
            values[box] *= factor
        return values

    def folded(self, values: Volume32) -> tuple[Slab, Volume32]:
        """Return the station and the image after the field of view was chosen too small, if it was."""
        strength = self.effects.of(Effect.WRAP_AROUND)
        cut = round(0.10 * strength * self.slab.shape[self.slab.phase])
        if not cut:
            return self.slab, values
        return self.slab.cut(cut), wrapped_around(values, self.slab.phase, cut)
