"""How long a step takes: our loop against a plain one, on the same network and the same patches.

Both run in turns, so that whatever else the machine does slows both. Seconds of the process's own CPU time
are counted beside those of the clock: on a shared machine only the former say something.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import lightning.pytorch as lightning
import torch
from lightning.pytorch.callbacks import Callback

from marrowmap.models.unet import build_unet
from marrowmap.training.annotated import AnnotatedSplit
from marrowmap.training.cache import ExamCache
from marrowmap.training.config import TrainSettings
from marrowmap.training.losses import segmentation_loss
from marrowmap.training.module import MarrowModule
from marrowmap.training.stream import PatchDataset, patch_loader
from marrowmap.training.train import RunPatches
from marrowmap.training.trainer import build_trainer, lightning_precision, quiet_lightning

#: First steps of a turn that are not counted: libraries plan their kernels in them.
WARM_UP = 2


@dataclass(frozen=True, kw_only=True)
class StepTimes:
    """Medians over all counted steps.

    Attributes:
        ours_s: Seconds of a step of our loop, by the clock.
        plain_s: Of the plain loop.
        ours_cpu_s: CPU seconds of a step of our loop.
        plain_cpu_s: Of the plain loop.
        waiting: Share of our loop's time in which the network had no patch.
        steps: Counted steps of each.
    """

    ours_s: float
    plain_s: float
    ours_cpu_s: float
    plain_cpu_s: float
    waiting: float
    steps: int


class _Clock(Callback):
    """Clock and CPU seconds of every step, and of the wait before it."""

    def __init__(self) -> None:
        self.ends: list[tuple[float, float]] = []
        self.waits: list[float] = []

    def on_train_batch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if self.ends:
            self.waits.append(time.perf_counter() - self.ends[-1][0])

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        self.ends.append(_now())


def _now() -> tuple[float, float]:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter(), time.process_time()


def measure(cache: ExamCache, settings: TrainSettings, folder: Path, steps: int, turns: int) -> StepTimes:
    """Return the times of both loops.

    Args:
        cache: Prepared exams of the settings' seeds.
        settings: Network, patches, batch, precision.
        folder: Where our loop may write.
        steps: Counted steps of a turn.
        turns: Of each loop.
    """
    settings = replace(settings, max_steps=steps + WARM_UP + 1, validate_every=10**9, validation_patches=0)
    ours, plain, waits = [], [], []
    for turn in range(turns):
        clock = _our_turn(cache, replace(settings, run=folder / str(turn)))
        ours += _steps(clock.ends)
        waits += clock.waits[WARM_UP:]
        plain += _steps(list(_plain_turn(cache, settings)))
    ours_s, ours_cpu_s = (median(part) for part in zip(*ours, strict=True))
    plain_s, plain_cpu_s = (median(part) for part in zip(*plain, strict=True))
    return StepTimes(
        ours_s=ours_s,
        plain_s=plain_s,
        ours_cpu_s=ours_cpu_s,
        plain_cpu_s=plain_cpu_s,
        waiting=sum(waits) / sum(step for step, _ in ours),
        steps=len(ours),
    )


def _steps(ends: list[tuple[float, float]]) -> list[tuple[float, float]]:
    counted = ends[WARM_UP:]
    return [(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(counted)]


def _our_turn(cache: ExamCache, settings: TrainSettings) -> _Clock:
    settings.run.mkdir(parents=True)
    clock = _Clock()
    with quiet_lightning():
        trainer = build_trainer(settings, validated_on="")
        trainer.callbacks.append(clock)  # type: ignore[attr-defined]
        trainer.fit(MarrowModule(settings), datamodule=RunPatches(cache, settings, AnnotatedSplit(exams={})))
    return clock


def _plain_turn(cache: ExamCache, settings: TrainSettings) -> Iterator[tuple[float, float]]:
    """Yield the end of every step of the loop that one would write by hand."""
    on_cuda = settings.device != "cpu" and torch.cuda.is_available()
    device, is_mixed = torch.device("cuda" if on_cuda else "cpu"), lightning_precision(settings) != "32-true"
    network: Any = build_unet(settings.network).to(device)
    if not on_cuda:
        network = network.to(memory_format=torch.channels_last_3d)
    optimiser = torch.optim.AdamW(network.parameters(), lr=settings.optimiser.learning_rate)
    for batch in patch_loader(_patches(cache, settings), start=0, batch_size=settings.batch_size):
        batch = {name: value.to(device) for name, value in batch.items()}
        image = batch["image"]
        if not on_cuda:
            image = image.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        with torch.autocast(device.type, torch.bfloat16, enabled=is_mixed):
            cells, coarse = network.cells_and_coarse(image)
            loss = segmentation_loss(
                cells, batch["lesion"], batch["regions"], settings.loss, coarse=coarse
            ).total
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), settings.optimiser.gradient_norm)
        optimiser.step()
        yield _now()


def _patches(cache: ExamCache, settings: TrainSettings) -> PatchDataset:
    return PatchDataset(
        cache,
        settings.stream.training_seeds,
        settings.stream,
        settings.augment,
        seed=settings.seed,
        length=settings.max_steps * settings.batch_size,
    )
