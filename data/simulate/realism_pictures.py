"""Small pictures of simulated exams for the realism page."""

from __future__ import annotations

import base64
import io

import numpy as np
import numpy.typing as npt

from marrowmap.data.exam import Exam, Sequence
from marrowmap.data.grid import common_grid, resample_linear

Picture = npt.NDArray[np.uint8]

_SPACING_MM = 4.0
#: Brightest of what is shown, as a percentile; ADC is shown up to a fixed value instead.
_TOP_PERCENTILE = 99.6
_ADC_TOP_UM2_PER_S = 2500.0
_SHOWN = (
    Sequence.T1, Sequence.DIXON_IN, Sequence.STIR, Sequence.DWI_LOW, Sequence.DWI_HIGH, Sequence.ADC,
    Sequence.DIXON_FAT, Sequence.T1_CONTRAST,
)  # fmt: skip


def montage_of(exam: Exam) -> dict[str, Picture]:
    """Return pictures of one exam by their captions.

    Args:
        exam: Stations composed.

    Returns:
        uint8 `(row, column)`, head on top: the inverted projection of high b from the front and the side, a
        sagittal slice, and a coronal slice through the spine of every sequence.
    """
    grid = common_grid(exam, _SPACING_MM)
    pictures: dict[str, Picture] = {}
    arrays = {s: resample_linear(exam[s].array, exam[s].affine_ras_mm, grid) for s in _SHOWN if s in exam}
    high = arrays[Sequence.DWI_HIGH]
    pictures["b900, front"] = 255 - _grey(high.max(axis=1), high)
    pictures["b900, side"] = 255 - _grey(high.max(axis=0), high)
    pictures["b900, sagittal"] = 255 - _grey(high[high.shape[0] // 2], high)
    coronal = _spine_plane(arrays)
    for sequence, array in arrays.items():
        top = _ADC_TOP_UM2_PER_S if sequence is Sequence.ADC else None
        pictures[f"{sequence}, coronal"] = _grey(array[:, coronal], array, top)
    return pictures


def _spine_plane(arrays: dict[Sequence, npt.NDArray[np.float32]]) -> int:
    """Return the coronal plane a third of the body's depth from its back."""
    low = arrays.get(Sequence.DWI_LOW, arrays[Sequence.DWI_HIGH])
    depth = np.flatnonzero(low.max(axis=(0, 2)) > 0.05 * low.max())
    return int(depth[0] + 0.38 * (depth[-1] - depth[0])) if depth.size else low.shape[1] // 2


def _grey(
    plane: npt.NDArray[np.float32], whole: npt.NDArray[np.float32], top: float | None = None
) -> Picture:
    brightest = top or max(
        float(np.percentile(whole[whole > 0], _TOP_PERCENTILE)) if whole.any() else 1.0, 1e-6
    )
    return (np.clip(plane.T[::-1] / brightest, 0, 1) * 255).astype(np.uint8)


def as_data_uri(picture: Picture) -> str:
    """Return a picture as an image that a page holds in itself."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
