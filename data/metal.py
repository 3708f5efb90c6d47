"""Metal: voids in every sequence where nobody has air, at the lumbar spine and at the hips.

Elsewhere lungs, airways, sinuses, bowel and the gaps beside arms and thighs are voids in everybody.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from marrowmap.data.components import find_components
from marrowmap.data.exam import ExamWarning, Sequence, Volume
from marrowmap.data.placement import resampled_like
from marrowmap.data.silhouette import USUAL_STATURE_M, body_median, coarse_volume, filled_body

#: Signal below this part of the body's median counts as none, in every sequence.
_VOID = 0.08
#: Smaller voids are vessels and gas bubbles (at the hips, loops of bowel); larger ones are lungs (ml).
_VOID_ML, _HIP_VOID_ML = (4.0, 250.0), (10.0, 250.0)
#: Spine and back muscles lie in this rear part of the body's voxels, bowel and arms do not.
_REAR, _SPINE_HALF_WIDTH_MM = 0.35, 60.0
#: The hips lie between these parts of the stature below the crown, this far beside the middle (mm), and
#: behind this front part of the body's voxels: in front of them bowel holds gas.
_HIP_BELOW_CROWN, _HIP_BESIDE_MM, _FRONT = (0.48, 0.62), (50.0, 150.0), 0.15

Mask = npt.NDArray[np.bool_]


def metal_warnings(
    volumes: Mapping[Sequence, Volume], stature_m: float | None = None, *, has_crown: bool = True
) -> list[ExamWarning]:
    """Return a warning for voids at the lumbar spine or the hips that no sequence fills: metal.

    Args:
        volumes: The composed volumes by sequence.
        stature_m: Height of the person where it is known.
        has_crown: Whether the exam begins at the crown; without it nobody knows where the hips are.
    """
    diffusion = volumes.get(Sequence.DWI_LOW) or volumes.get(Sequence.DWI_HIGH)
    others = [s for s in (Sequence.T1, Sequence.DIXON_IN, Sequence.STIR, Sequence.T2) if s in volumes]
    if diffusion is None or not others:
        return []
    coarse = coarse_volume(diffusion)
    other = resampled_like(volumes[others[0]], coarse)
    body = filled_body(other.array, coarse)
    void = np.logical_and(*(v.array < _VOID * body_median(v.array) for v in (other, coarse)))
    inside = np.asarray(ndimage.binary_erosion(body, iterations=2), dtype=bool)
    if not inside.any():
        return []
    places = _Places(body, coarse)
    zones = {"lumbar spine": places.lumbar_spine()}
    if has_crown:
        zones["hips"] = places.hips(stature_m or USUAL_STATURE_M)
    sizes = {"lumbar spine": _VOID_ML, "hips": _HIP_VOID_ML}
    return [
        w for name, zone in zones.items() for w in _voids(void & inside & zone, coarse, name, sizes[name])
    ]


def _voids(mask: Mask, grid: Volume, zone: str, sizes_ml: tuple[float, float]) -> list[ExamWarning]:
    """Return a warning that names the largest voids of a zone."""
    voids = find_components(np.ascontiguousarray(mask))
    voxel_ml = float(abs(np.linalg.det(grid.affine_ras_mm[:3, :3]))) / 1000
    places = []
    for voxels, centroid in zip(voids.voxels, voids.centroids, strict=True):
        if sizes_ml[0] <= voxels * voxel_ml <= sizes_ml[1]:
            x, y, z = (grid.affine_ras_mm @ [*centroid, 1.0])[:3]
            places.append(f"({x:.0f}, {y:.0f}, {z:.0f}) mm, {voxels * voxel_ml:.0f} ml")
    if not places:
        return []
    more = f" and {len(places) - 3} more places" if len(places) > 3 else ""
    text = (
        f"no signal in any sequence at {'; '.join(places[:3])}{more}, at the {zone}: metal; "
        "what lies there cannot be judged"
    )
    return [ExamWarning(code="signal_void", text=text)]


class _Places:
    """Where in the body a voxel lies."""

    def __init__(self, body: Mask, grid: Volume) -> None:
        """Measure the body's place on the grid."""
        index = np.meshgrid(*(np.arange(n) for n in body.shape), indexing="ij", sparse=True)
        self.x, self.y, self.z = (
            np.asarray(sum(a * i for a, i in zip(row[:3], index, strict=True)) + row[3])
            for row in grid.affine_ras_mm[:3]
        )
        self._across, self._depths, heights = (
            np.broadcast_to(v, body.shape)[body] for v in (self.x, self.y, self.z)
        )
        self._bottom, self._top = float(heights.min()), float(heights.max())

    def lumbar_spine(self) -> Mask:
        """Return the rear of the lower half of the body near its middle."""
        is_lumbar = (self.z > self._bottom + (self._top - self._bottom) / 4) & (
            self.z < (self._bottom + self._top) / 2
        )
        is_rear = self.y < np.quantile(self._depths, _REAR)
        return np.asarray(is_lumbar & is_rear & (self._beside() < _SPINE_HALF_WIDTH_MM))

    def hips(self, stature_m: float) -> Mask:
        """Return where the hips of a person of this height are."""
        below = (self._top - self.z) / (1000 * stature_m)
        is_level = (below > _HIP_BELOW_CROWN[0]) & (below < _HIP_BELOW_CROWN[1])
        is_beside = (self._beside() > _HIP_BESIDE_MM[0]) & (self._beside() < _HIP_BESIDE_MM[1])
        return np.asarray(is_level & is_beside & (self.y < np.quantile(self._depths, 1 - _FRONT)))

    def _beside(self) -> npt.NDArray[np.float64]:
        return np.abs(self.x - np.median(self._across))
