"""The pictures of one exam: the inverted diffusion projection and the slices of the viewer.

Display follows the radiologist's convention: the patient's right on the left of the picture,
head up, and on sagittal pictures the front on the left.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from marrowmap.data.errors import GeometryError
from marrowmap.data.exam import Array3D, LabelArray, SpacingMm
from marrowmap.inference.report.encode import (
    Bytes2D,
    Bytes3D,
    Rgba,
    grey_jpeg,
    palette_png,
    tissue_top,
    window_to_bytes,
)
from marrowmap.inference.report.pictures_rotation import Rotation, rotate
from marrowmap.inference.report.slices import (
    ADC,
    INVERTED,
    Marker,
    SliceSprites,
    crop_to_body,
    draw_sprites,
    markers_of,
)

#: Colour group of a lesion: certain, equivocal, and suspected benign or rejected.
CERTAIN, EQUIVOCAL, SET_ASIDE = 1, 2, 3
PALETTE: tuple[Rgba, ...] = ((0, 0, 0, 0), (224, 36, 52, 255), (240, 150, 0, 255), (32, 120, 225, 255))
#: Brightest of the projection that is still grey: brain and kidneys are brighter than most lesions.
MIP_TOP_PERCENTILE = 95.5
CAPTION = "inverted high-b diffusion, maximum intensity - research use only"


@dataclass(frozen=True, kw_only=True)
class ReportImages:
    """The volumes that the report shows, all on the working grid.

    The grid is axis-aligned RAS+: i grows to the patient's right, j to the front, k upward.

    Attributes:
        dwi_high: High-b diffusion `(i, j, k)`, any intensity scale.
        t1: T1 (or what stands in for it) on the same grid, None where the exam has none.
        stir: STIR (or what stands in for it), None where the exam has none.
        lesion_labels: Lesion id at each voxel, 0 elsewhere.
        spacing_mm: Voxel size along `(i, j, k)`, in mm.
        adc: ADC in um2/s, None where the exam has none.
    """

    dwi_high: Array3D
    t1: Array3D | None
    stir: Array3D | None
    lesion_labels: LabelArray
    spacing_mm: SpacingMm
    adc: Array3D | None = None

    def __post_init__(self) -> None:
        """Refuse volumes that are not on one grid.

        Raises:
            GeometryError: If two shapes differ.
        """
        shape = self.dwi_high.shape
        for name in ("t1", "stir", "lesion_labels", "adc"):
            array = getattr(self, name)
            if array is not None and array.shape != shape:
                raise GeometryError(
                    f"{name} has shape {array.shape}, diffusion {shape}; bring both to the working grid"
                )


@dataclass(frozen=True, kw_only=True)
class Projection:
    """One maximum-intensity projection with the outlines of the lesions apart.

    Attributes:
        grey: Inverted diffusion `(row, column)`, 0 black to 255 white.
        outline: Colour group `(row, column)` on lesion outlines, 0 elsewhere.
    """

    grey: Bytes2D
    outline: Bytes2D


@dataclass(frozen=True, kw_only=True)
class ReportPictures:
    """Everything that the report shows, as encoded pictures.

    Attributes:
        coronal: Projection from the front.
        sagittal: Projection from the patient's left.
        mip_png: Both side by side with the outlines, the file `mip.png`.
        rotation: The projection from all around, for the page.
        sprites: The coronal slices of each sequence.
        markers: Place of each lesion in the sprites, by lesion id.
    """

    coronal: Projection
    sagittal: Projection
    mip_png: bytes
    rotation: Rotation
    sprites: SliceSprites
    markers: Mapping[int, Marker]


def draw_pictures(images: ReportImages, groups: Mapping[int, int]) -> ReportPictures:
    """Draw the projections and the slices.

    Args:
        images: Volumes on the working grid.
        groups: Colour group by lesion id: `CERTAIN`, `EQUIVOCAL` or `SET_ASIDE`.

    Returns:
        The encoded pictures; with no lesion the outlines are empty.
    """
    box = crop_to_body(images.t1 if images.t1 is not None else images.dwi_high, images.lesion_labels)
    labels = images.lesion_labels[box]
    group_labels = _group_labels(labels, groups)
    dwi = images.dwi_high[box]
    front = dwi.max(axis=1)
    top = tissue_top(_above_noise(front), MIP_TOP_PERCENTILE)
    coronal = _project(dwi, group_labels, axis=1, top=top, spacing_mm=images.spacing_mm)
    sagittal = _project(dwi, group_labels, axis=0, top=top, spacing_mm=images.spacing_mm)
    grey = {"T1": images.t1, "STIR": images.stir, INVERTED: images.dwi_high, ADC: images.adc}
    volumes = {name: volume[box] for name, volume in grey.items() if volume is not None}
    return ReportPictures(
        coronal=coronal,
        sagittal=sagittal,
        mip_png=_mip_png(coronal, sagittal),
        rotation=rotate(dwi - np.float32(np.percentile(front, 5)), top, images.spacing_mm),
        sprites=draw_sprites(volumes, labels, images.spacing_mm),
        markers=markers_of(labels),
    )


def projection_files(projection: Projection) -> tuple[bytes, bytes]:
    """Return the grey picture as JPEG and its outlines as a transparent PNG of the same size."""
    return grey_jpeg(projection.grey, quality=85), palette_png(projection.outline, PALETTE)


def _group_labels(labels: LabelArray, groups: Mapping[int, int]) -> Bytes3D:
    """Return the colour group of each lesion voxel; a lesion without a group counts as certain."""
    table = np.full(int(labels.max(initial=0)) + 1, CERTAIN, dtype=np.uint8)
    table[0] = 0
    for lesion_id, group in groups.items():
        if 0 < lesion_id < table.size:
            table[lesion_id] = group
    return table[labels]


def _project(dwi: Array3D, groups: Bytes3D, *, axis: int, top: float, spacing_mm: SpacingMm) -> Projection:
    """Project along an axis of `(i, j, k)`, at twice the resolution of the grid."""
    aspect = spacing_mm[2] / spacing_mm[1 - axis]
    grey = window_to_bytes(_upright(_above_noise(dwi.max(axis=axis))), top, inverted=True)
    size = (2 * grey.shape[1], round(2 * grey.shape[0] * aspect))
    outline = np.zeros(size[::-1], dtype=np.uint8)
    for group in (SET_ASIDE, EQUIVOCAL, CERTAIN):  # the surest is drawn last, on top
        shadow = _upright((groups == group).any(axis=axis))
        mask = _enlarge(np.where(shadow, 255, 0).astype(np.uint8), size) > 127
        outline[ndimage.binary_dilation(mask, iterations=2) > mask] = group
    return Projection(grey=_enlarge(grey, size), outline=outline)


def _above_noise(projected: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the projection less that of air: a maximum over many voxels of noise is not dark."""
    return np.clip(projected - np.percentile(projected, 5), 0.0, None)


def _upright(projected: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return `(row, column)` with the head up and the right or the front on the left."""
    return projected.T[::-1, ::-1]


def _enlarge(grey: Bytes2D, size: tuple[int, int]) -> Bytes2D:
    """Resize a picture smoothly to `(columns, rows)`."""
    from PIL import Image

    return np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.BICUBIC))


def _mip_png(coronal: Projection, sagittal: Projection) -> bytes:
    """Return both projections side by side as PNG, outlines in colour, sides lettered."""
    from PIL import Image, ImageDraw

    gap, foot = 24, 26
    rows, left = coronal.grey.shape
    picture = Image.new("RGB", (left + gap + sagittal.grey.shape[1], rows + foot), "white")
    draw = ImageDraw.Draw(picture)
    for projection, start, letters in ((coronal, 0, "RL"), (sagittal, left + gap, "AP")):
        picture.paste(Image.fromarray(_coloured(projection)), (start, 0))
        end = start + projection.grey.shape[1]
        draw.text((start + 4, 4), letters[0], fill="black", anchor="lt", font_size=16)
        draw.text((end - 4, 4), letters[1], fill="black", anchor="rt", font_size=16)
    draw.text((4, rows + 6), CAPTION, fill="#444444", font_size=min(13.0, picture.width / 32))
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", compress_level=4)
    return buffer.getvalue()


def _coloured(projection: Projection) -> npt.NDArray[np.uint8]:
    """Return `(row, column, rgb)`: the outlines drawn over the grey picture."""
    colours = np.asarray(PALETTE, dtype=np.uint8)[:, :3]
    is_outline = projection.outline[:, :, None] > 0
    return np.where(is_outline, colours[projection.outline], projection.grey[:, :, None])
