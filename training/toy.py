"""Exams of spheres and cylinders in a second: for trying the loop where the simulator does not matter."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from marrowmap.data.exam import Sequence
from marrowmap.data.model_input import CHANNELS, ModelInputSettings
from marrowmap.data.skeleton import Region
from marrowmap.training.cache import PreparedExam

#: Body of the toy, mm along `(x, y, z)`.
BODY_MM = (200.0, 140.0, 480.0)
LESIONS = 12
#: Mean of body, skeleton and lesion by channel, network units.
CONTRAST = {
    Sequence.DWI_HIGH: (0.2, 0.3, 1.0),
    Sequence.ADC: (1.5, 0.6, 0.9),
    Sequence.T1: (0.5, 0.9, 0.4),
    Sequence.STIR: (0.4, 0.3, 0.9),
    Sequence.FAT_FRACTION: (0.1, 0.5, 0.1),
}


def toy_exam(seed: int, settings: ModelInputSettings) -> PreparedExam:
    """Return a body with a stack of eight regions along z and spherical lesions in them.

    Args:
        seed: Decides everything.
        settings: Only the spacing is used.
    """
    rng = np.random.default_rng(seed)
    spacing = settings.spacing_mm
    shape = tuple(round(side / spacing) for side in BODY_MM)
    x, y, z = np.meshgrid(
        *((np.arange(n) - (n - 1) / 2) * spacing for n in shape), indexing="ij", sparse=True
    )
    body = np.broadcast_to((x / (BODY_MM[0] / 2)) ** 2 + (y / (BODY_MM[1] / 2)) ** 2 < 1, shape)
    level = np.clip((0.5 - z / BODY_MM[2]) * len(Region), 0, len(Region) - 1).astype(np.uint8) + 1
    regions = np.where(x**2 + (y + 20) ** 2 < 30**2, level, 0).astype(np.uint8)
    lesions = _spheres(regions, rng, spacing, (x, y, z))
    image = _image(body, regions, lesions, rng)
    affine = np.diag([spacing, spacing, spacing, 1.0])
    return PreparedExam(
        image=image, lesions=lesions, regions=regions, affine_ras_mm=affine,
        present=(True,) * len(CHANNELS), body=body, facts={"is_simulated": True, "pattern": "toy"},
    )  # fmt: skip


def _spheres(
    regions: npt.NDArray[np.uint8],
    rng: np.random.Generator,
    spacing: float,
    axes: tuple[npt.NDArray[np.floating], ...],
) -> npt.NDArray[np.uint16]:
    lesions = np.zeros(regions.shape, dtype=np.uint16)
    places = np.argwhere(regions > 0)
    for label in range(1, LESIONS + 1):
        centre = (places[int(rng.integers(len(places)))] - (np.array(regions.shape) - 1) / 2) * spacing
        radius = rng.uniform(3.0, 12.0)
        x, y, z = (axis - c for axis, c in zip(axes, centre.tolist(), strict=True))
        distance = x**2 + y**2 + z**2
        lesions[(distance < radius**2) & (regions > 0)] = label
    return lesions


def _image(
    body: npt.NDArray[np.bool_],
    regions: npt.NDArray[np.uint8],
    lesions: npt.NDArray[np.uint16],
    rng: np.random.Generator,
) -> npt.NDArray[np.float32]:
    tissue = body.astype(np.uint8) + (regions > 0) + (lesions > 0)
    image = np.empty((len(CHANNELS), *body.shape), dtype=np.float32)
    for channel, sequence in enumerate(CHANNELS):
        image[channel] = np.array([0.0, *CONTRAST[sequence]], dtype=np.float32)[tissue]
        image[channel] += 0.05 * rng.standard_normal(body.shape, dtype=np.float32)
    return np.clip(image, 0.0, 3.5, out=image)
