"""The usual way, as MONAI's tutorials and bundles write it, with the same weights in eager torch.

Volumes to the working grid by `SpatialResample`, windows on a grid of half overlap over the whole volume with
Gaussian weights, all ten probabilities back to the grid of the images, components by scipy. It cannot
read a study nor tell body from air in network units; those two come from us, so that only the cost differs.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from monai.data.meta_tensor import MetaTensor
from monai.inferers.utils import sliding_window_inference
from monai.transforms.spatial.array import SpatialResample
from scipy import ndimage

from marrowmap.data.exam import Array3D, Exam, LesionMask, Volume
from marrowmap.data.grid import Grid, common_grid
from marrowmap.data.model_input import ModelInput, ModelInputSettings, to_model_input
from marrowmap.models.bundle import Bundle
from marrowmap.models.convert import load_network
from marrowmap.models.unet import LESION_CHANNEL, REGION_CHANNEL_SLICE

OVERLAP = 0.5
WINDOWS_AT_ONCE = 1
#: As our own lesion list: less is a speck.
MINIMUM_VOLUME_ML = 0.03


@dataclass(frozen=True, kw_only=True)
class UsualLesion:
    """A row of the usual lesion list.

    Attributes:
        label: Its number.
        volume_ml: Its volume.
        centroid_ras_mm: Its middle in RAS+ mm.
    """

    label: int
    volume_ml: float
    centroid_ras_mm: tuple[float, float, float]


def resampled_input(exam: Exam, settings: ModelInputSettings) -> ModelInput:
    """Bring an exam to the working grid by MONAI, then to network units."""
    grid = common_grid(exam, settings.spacing_mm)
    volumes = {
        sequence: Volume(
            array=resampled(volume.array[None], volume.affine_ras_mm, grid)[0].numpy(),
            affine_ras_mm=grid.affine_ras_mm,
            b_value_s_per_mm2=volume.b_value_s_per_mm2,
        )
        for sequence, volume in exam.volumes.items()
    }
    on_grid = Exam(volumes=volumes, study=exam.study, warnings=exam.warnings)
    return to_model_input(on_grid, settings)


def resampled(array: npt.NDArray[Any] | torch.Tensor, affine: npt.NDArray[Any], grid: Grid) -> torch.Tensor:
    """Return channels `(c, i, j, k)` on another grid, linear, as MONAI does it."""
    tensor = torch.as_tensor(np.ascontiguousarray(array) if isinstance(array, np.ndarray) else array)
    image = MetaTensor(tensor, affine=torch.as_tensor(affine))
    resample = SpatialResample(mode="bilinear", padding_mode="zeros", align_corners=False, dtype=np.float32)
    result = resample(image, dst_affine=torch.as_tensor(grid.affine_ras_mm), spatial_size=grid.shape)
    return torch.as_tensor(result.as_tensor() if isinstance(result, MetaTensor) else result)


def window_logits(model_input: ModelInput, bundle: Bundle) -> torch.Tensor:
    """Return the blended logits `(1 + regions, i, j, k)`."""
    network = load_network(bundle)
    image = torch.from_numpy(model_input.array)[None]
    with torch.inference_mode():
        logits = sliding_window_inference(
            image, bundle.patch_size, WINDOWS_AT_ONCE, network, overlap=OVERLAP, mode="gaussian"
        )
    assert isinstance(logits, torch.Tensor)
    return logits[0]


def exported(
    logits: torch.Tensor, grid: Grid, source: Grid, threshold: float
) -> tuple[LesionMask, npt.NDArray[np.uint8], Array3D]:
    """Return lesion mask, regions and lesion probability on the grid of the images.

    Probabilities of all channels go back before a decision is made, as `Invertd` and nnU-Net do.
    """
    with torch.inference_mode():
        probability = torch.cat(
            [torch.sigmoid(logits[LESION_CHANNEL : LESION_CHANNEL + 1]),
             torch.softmax(logits[REGION_CHANNEL_SLICE], dim=0)]
        )  # fmt: skip
        back = resampled(probability, grid.affine_ras_mm, source)
        regions = back[REGION_CHANNEL_SLICE].argmax(dim=0).to(torch.uint8).numpy()
    lesion = back[LESION_CHANNEL].numpy()
    return lesion >= threshold, regions, lesion


def listed(mask: LesionMask, source: Grid, minimum_volume_ml: float) -> tuple[LesionMask, list[UsualLesion]]:
    """Return the mask without specks, and a row for every lesion that stays, by scipy."""
    labels, count = ndimage.label(mask, structure=np.ones((3, 3, 3)))  # type: ignore[misc]
    numbers = np.arange(1, count + 1)
    volumes = np.asarray(ndimage.sum_labels(mask, labels, numbers)) * source.voxel_ml
    middles = np.array(ndimage.center_of_mass(mask, labels, numbers)).reshape(-1, 3)
    kept = np.flatnonzero(volumes >= minimum_volume_ml - 1e-9)
    rows = []
    for n in kept:
        x, y, z = (float(value) for value in source.points_mm(middles[n : n + 1])[0])
        rows.append(UsualLesion(label=int(n) + 1, volume_ml=float(volumes[n]), centroid_ras_mm=(x, y, z)))
    return np.isin(labels, numbers[kept]), rows


def save(
    folder: Path,
    maps: dict[str, npt.NDArray[Any]],
    affine_ras_mm: npt.NDArray[Any],
    rows: list[UsualLesion],
) -> None:
    """Write maps as NIfTI and the list as CSV: all that the usual way leaves behind."""
    import nibabel

    for name, array in maps.items():
        nibabel.save(nibabel.Nifti1Image(array, affine_ras_mm), folder / f"{name}.nii.gz")
    lines = ["label,volume_ml,x,y,z"]
    lines += [f"{r.label},{r.volume_ml:.3f},{','.join(f'{v:.1f}' for v in r.centroid_ras_mm)}" for r in rows]
    (folder / "lesions.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
