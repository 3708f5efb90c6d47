"""One training step and one validation step, as Lightning wants them, with the schedule."""

from __future__ import annotations

import logging
import math
import time
from typing import Any

import lightning.pytorch as lightning
import torch
from lightning.pytorch.callbacks import WeightAveraging
from monai.networks.utils import pixelshuffle

from marrowmap.models.unet import LESION_CHANNEL, REGION_CHANNEL_SLICE, STEM_STRIDE, build_unet
from marrowmap.training.config import OptimiserSettings, TrainSettings
from marrowmap.training.losses import IGNORED, segmentation_loss
from marrowmap.training.metrics import PatchCounts, count_patch
from marrowmap.training.ranks import from_first, gathered, sum_over_ranks, world_size

_log = logging.getLogger(__name__)


class MarrowModule(lightning.LightningModule):
    """The network with its loss, optimiser and schedule."""

    def __init__(self, settings: TrainSettings) -> None:
        """Build the network; weights follow torch's global seed."""
        super().__init__()
        self.settings = settings
        self.network = build_unet(settings.network)
        if not self._is_on_cuda():
            # Backward convolutions of oneDNN took 18 % less time in this layout, the whole step 12 %.
            self.network = self.network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        self.elapsed_s = 0.0
        self.is_stop_asked = False
        self._clock: float | None = None
        self._agreed_s: float | None = None
        self._is_whole_step = True
        self._counts: list[PatchCounts] = []
        self._losses: list[float] = []

    def _is_on_cuda(self) -> bool:
        device = self.settings.device
        return device == "cuda" or (device == "auto" and torch.cuda.is_available())

    def _laid_out(self, image: torch.Tensor) -> torch.Tensor:
        if self._is_on_cuda():
            return image
        return image.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return logits, as the network does."""
        return self.network(image)

    def training_step(self, batch: dict[str, torch.Tensor], batch_idx: int) -> torch.Tensor:
        """Return the loss of a batch of patches."""
        self._is_whole_step = (batch_idx + 1) % self.settings.accumulate == 0
        cells, coarse = self.network.cells_and_coarse(self._laid_out(batch["image"]))
        parts = segmentation_loss(
            cells,
            batch["lesion"],
            batch["regions"],
            self.settings.loss,
            coarse=coarse,
            lesion_weight=batch["lesion_weight"],
            phase=self.global_step,
            progress=self.progress(),
            pooled=sum_over_ranks,
        )
        for name, value in vars(parts).items():
            self.log(f"train/{name}", value.detach(), on_step=True, on_epoch=False)
        return parts.total

    def on_after_backward(self) -> None:
        """Let a step pass without effect whose gradient is not finite; one would spoil all weights."""
        if not self._is_whole_step:
            return
        gradients = [p.grad for p in self.network.parameters() if p.grad is not None]
        if self.trainer.precision == "16-mixed" or all(bool(g.isfinite().all()) for g in gradients):
            return  # float16's own scaler looks after it
        _log.warning("step %d had a gradient that is not finite and was passed over", self.global_step)
        for gradient in gradients:
            gradient.zero_()

    def validation_step(self, batch: dict[str, torch.Tensor], batch_idx: int) -> torch.Tensor:
        """Count what was found in fixed patches, with the averaged weights; return bool `(n, i, j, k)`."""
        cells, _ = self.network.cells_and_coarse(self._laid_out(batch["image"]))
        parts = segmentation_loss(cells, batch["lesion"], batch["regions"], self.settings.loss)
        logits = pixelshuffle(cells, spatial_dims=3, scale_factor=STEM_STRIDE)
        self._losses.append(float(parts.total))
        said = logits[:, LESION_CHANNEL] > 0
        lesion = said.cpu().numpy()
        regions = logits[:, REGION_CHANNEL_SLICE].argmax(dim=1).cpu().numpy()
        labels, truth = batch["lesion_labels"].cpu().numpy(), batch["regions"].cpu().numpy()
        is_ignored = batch["lesion"].cpu().numpy() == IGNORED
        for n in range(len(logits)):
            counts = count_patch(labels[n], lesion[n], truth[n], regions[n], is_ignored[n])
            self._counts.append(counts)
        return said

    def on_validation_epoch_end(self) -> None:
        """Log the sums over all validation patches."""
        counts, losses = gathered(self._counts), gathered(self._losses)
        self._counts, self._losses = [], []
        if not counts:
            return
        total = sum(counts[1:], start=counts[0])
        self.log("validation/loss", sum(losses) / len(losses))
        for name, value in total.summary().items():
            self.log(f"validation/{name}", value)

    def progress(self) -> float:
        """Return how much of the run is over, 0 to 1: by steps or by the clock, whichever is further."""
        done = self.global_step / self.settings.max_steps
        if self.settings.max_minutes is not None:
            elapsed = self.elapsed() if self._agreed_s is None else self._agreed_s
            done = max(done, elapsed / (60 * self.settings.max_minutes))
        return min(done, 1.0)

    def is_stopped(self) -> bool:
        """Say whether the run's steps or minutes are used up, or somebody asked it to end."""
        return self.is_stop_asked or self.progress() >= 1.0

    def elapsed(self) -> float:
        """Return the seconds of training so far, those before a resume included."""
        return self.elapsed_s + (0.0 if self._clock is None else time.monotonic() - self._clock)

    def on_train_start(self) -> None:
        """Start the clock."""
        self._clock = time.monotonic()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Remember the time that was used, and forget the batch that was fetched and not learned from."""
        checkpoint["elapsed_s"] = self.elapsed()
        progress = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]
        for counts in (progress["total"], progress["current"]):
            if counts["ready"] > counts["started"]:
                # Counted, it would bring every later validation forward by one batch.
                counts["ready"] = counts["processed"] = counts["started"]
                progress["is_last_batch"] = False

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take up the time that was used."""
        self.elapsed_s = checkpoint["elapsed_s"]

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> int | None:
        """Set the learning rate, or end the run (-1) when its time is over; once for a whole step."""
        if batch_idx % self.settings.accumulate:
            return None
        if self.settings.max_minutes is not None and world_size() > 1:
            # Clocks differ; the rate must not.
            self._agreed_s = from_first(self.elapsed(), self.device)
        if self.is_stopped():
            self.trainer.should_stop = True
            return -1
        rate = learning_rate(self.progress(), self.settings.optimiser)
        for optimiser in self.trainer.optimizers:
            for group in optimiser.param_groups:
                group["lr"] = rate
        self.log("train/learning_rate", rate)
        return None

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return AdamW; norms and biases are not decayed."""
        settings = self.settings.optimiser
        weights = [p for p in self.network.parameters() if p.ndim > 1]
        others = [p for p in self.network.parameters() if p.ndim <= 1]
        groups = [
            {"params": weights, "weight_decay": settings.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, lr=learning_rate(0.0, settings))


def learning_rate(progress: float, settings: OptimiserSettings) -> float:
    """Return the learning rate at a fraction of the run: a linear rise, then half a cosine.

    Args:
        progress: 0 at the start, 1 at the end.
        settings: Highest and last rate, length of the rise.
    """
    if progress < settings.warm_up:
        # A hundredth at the very start, so that the first step moves at all.
        return settings.learning_rate * max(progress / settings.warm_up, 0.01)
    falling = (progress - settings.warm_up) / max(1 - settings.warm_up, 1e-9)
    cosine = (1 + math.cos(math.pi * min(falling, 1.0))) / 2
    return settings.learning_rate * (settings.final_rate + (1 - settings.final_rate) * cosine)


class AveragedWeights(WeightAveraging):
    """Exponential average of the weights, short at first so that the random start is soon forgotten."""

    def __init__(self, decay: float) -> None:
        """Average with this decay once the run is long enough for it."""

        @torch.no_grad()
        def average(
            averaged: tuple[torch.Tensor, ...] | list[torch.Tensor],
            current: tuple[torch.Tensor, ...] | list[torch.Tensor],
            count: torch.Tensor | int,
        ) -> None:
            keep = min(decay, (1 + float(count)) / (10 + float(count)))
            for mean, value in zip(averaged, current, strict=True):
                if mean.is_floating_point():
                    mean.lerp_(value, 1 - keep)
                else:  # a counter of batch normalisation
                    mean.copy_(value)

        super().__init__(multi_avg_fn=average)

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Leave both sets of weights as they are: the checkpoint after this holds both, for a resume."""
