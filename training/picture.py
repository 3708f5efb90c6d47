"""One validation patch at every look: what the reference says and what the network says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning.pytorch as lightning
import numpy as np
import numpy.typing as npt
import torch
from lightning.pytorch.callbacks import Callback
from PIL import Image
from scipy import ndimage

from marrowmap.data.exam import LesionMask, Sequence
from marrowmap.data.model_input import CHANNELS
from marrowmap.training.tracking import Picture, Tracker

#: Pixels a voxel.
ZOOM = 4
GREEN, RED = (0, 220, 0), (240, 40, 40)
_DIFFUSION = CHANNELS.index(Sequence.DWI_HIGH)


class ValidationPicture(Callback):
    """Draws the first validation patch that has a lesion, always the same one."""

    def __init__(self, path: Path, tracker: Tracker) -> None:
        """Prepare to draw.

        Args:
            path: The picture's file, replaced at every look.
            tracker: Gets every picture.
        """
        self._path, self._tracker = path, tracker
        self._picture: Picture | None = None

    def on_validation_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: dict[str, torch.Tensor],
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Draw the batch's first patch with a lesion, if none was drawn at this look."""
        has_lesion = (batch["lesion"] == 1).flatten(1).any(dim=1)
        if self._picture is not None or not trainer.is_global_zero or not has_lesion.any():
            return
        n = int(has_lesion.int().argmax())
        image = batch["image"][n, _DIFFUSION].float().cpu().numpy()
        self._picture = draw(image, (batch["lesion"][n] == 1).cpu().numpy(), outputs[n].cpu().numpy())

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Write the picture."""
        if self._picture is not None:
            Image.fromarray(self._picture).save(self._path)
            self._tracker.show(trainer.global_step, self._picture)
        self._picture = None


def draw(image: npt.NDArray[np.float32], reference: LesionMask, predicted: LesionMask) -> Picture:
    """Return the coronal slice with most lesion, outlined by the reference (left) and the network (right).

    Args:
        image: float32 `(i, j, k)`, any unit.
        reference: bool `(i, j, k)` with at least one voxel.
        predicted: bool `(i, j, k)`.

    Returns:
        uint8 `(rows, columns, 3)`, head up.
    """
    j = int(reference.sum(axis=(0, 2)).argmax())
    grey = np.clip(image[:, j] / max(float(np.percentile(image, 99.5)), 1e-6), 0, 1) * 255
    sides = [
        _outlined(grey.astype(np.uint8), mask[:, j], colour)
        for mask, colour in ((reference, GREEN), (predicted, RED))
    ]
    return np.concatenate(sides, axis=1)


def _outlined(grey: npt.NDArray[np.uint8], mask: LesionMask, colour: tuple[int, int, int]) -> Picture:
    grey, mask = _enlarged(grey), _enlarged(mask)
    picture = np.repeat(grey[..., None], 3, axis=2)
    picture[mask & ~np.asarray(ndimage.binary_erosion(mask), dtype=bool)] = colour
    return picture


def _enlarged(plane: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a plane `(i, k)` as rows from head to foot, every voxel `ZOOM` pixels wide."""
    return plane[:, ::-1].T.repeat(ZOOM, axis=0).repeat(ZOOM, axis=1)
