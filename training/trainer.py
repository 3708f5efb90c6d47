"""Lightning's trainer for a run: devices, precision, and who listens to the steps."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Literal

import lightning.pytorch as lightning
import torch
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint

from marrowmap.data.errors import SettingsError
from marrowmap.training.config import LOWER_IS_BETTER, TrainSettings
from marrowmap.training.module import AveragedWeights
from marrowmap.training.picture import ValidationPicture
from marrowmap.training.progress import Progress
from marrowmap.training.run_folder import PICTURE, TABLE
from marrowmap.training.stop import StopOnSignal
from marrowmap.training.tracking import tracker_of

_Precision = Literal["32-true", "bf16-mixed", "16-mixed"]
_LIGHTNING_PRECISION: dict[str, _Precision] = {
    "float32": "32-true", "bfloat16": "bf16-mixed", "float16": "16-mixed",
}  # fmt: skip


def build_trainer(settings: TrainSettings, validated_on: str) -> lightning.Trainer:
    """Return the trainer of a run.

    Args:
        settings: Everything about the run.
        validated_on: What the validation exams are; empty where there are none.

    Raises:
        SettingsError: If the precision or the devices are not there.
    """
    validates = bool(validated_on) and settings.validation_patches > 0
    # A second opinion of Lightning on when to requeue would write checkpoints where nobody looks for them.
    slurm = SLURMEnvironment(auto_requeue=False) if SLURMEnvironment.detect() else None
    return lightning.Trainer(
        accelerator="gpu" if settings.device == "cuda" else settings.device,
        devices=settings.devices,
        num_nodes=settings.nodes,
        strategy=lightning_strategy(settings),
        plugins=slurm,
        # Patches are dealt out by their number (see patch_loader).
        use_distributed_sampler=False,
        precision=lightning_precision(settings),
        max_steps=settings.max_steps,
        max_epochs=-1,
        accumulate_grad_batches=settings.accumulate,
        gradient_clip_val=settings.optimiser.gradient_norm,
        # Lightning counts batches here, not steps.
        val_check_interval=settings.validate_every * settings.accumulate if validates else None,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        log_every_n_steps=1,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=settings.run,
        callbacks=_callbacks(settings, validated_on),
    )


def _callbacks(settings: TrainSettings, validated_on: str) -> list[Callback]:
    # Only the first process opens it.
    tracker = tracker_of(settings)
    callbacks: list[Callback] = [
        StopOnSignal(),
        AveragedWeights(settings.optimiser.ema_decay),
        Progress(settings.log_every_s, settings.run / TABLE, tracker, validated_on),
        ValidationPicture(settings.run / PICTURE, tracker),
    ]
    if settings.patience is not None:
        mode = "min" if settings.watch in LOWER_IS_BETTER else "max"
        name = f"validation/{settings.watch}"
        callbacks.append(EarlyStopping(name, patience=settings.patience, mode=mode, check_finite=False))
    every = timedelta(minutes=settings.checkpoint_every_minutes)
    callbacks.append(_WholeStepCheckpoint(settings, every))
    return callbacks


class _WholeStepCheckpoint(ModelCheckpoint):
    """A checkpoint every few minutes, between steps: half-added gradients are in none.

    Nor is one written just before a validation, which the resumed run would take as done.
    """

    def __init__(self, settings: TrainSettings, every: timedelta) -> None:
        super().__init__(
            dirpath=settings.run, filename="last", train_time_interval=every, enable_version_counter=False
        )
        self._accumulate, self._validate_every = settings.accumulate, settings.validate_every

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        is_whole_step = (batch_idx + 1) % self._accumulate == 0
        validates_next = self._validate_every > 1 and trainer.global_step % self._validate_every == 0
        if is_whole_step and not validates_next:
            super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)


def lightning_strategy(settings: TrainSettings) -> str:
    """Return Lightning's name of how the run's devices work together."""
    if settings.strategy == "auto" and settings.devices * settings.nodes > 1:
        return "ddp"
    return settings.strategy


def lightning_precision(settings: TrainSettings) -> _Precision:
    """Return Lightning's name of the run's precision, `auto` resolved for the device."""
    on_cuda = settings.device == "cuda" or (settings.device == "auto" and torch.cuda.is_available())
    chosen = settings.precision
    if chosen == "auto" and on_cuda:
        chosen = "bfloat16" if torch.cuda.is_bf16_supported() else "float16"
    elif chosen == "auto":
        chosen = "bfloat16" if torch.cpu._is_avx512_bf16_supported() else "float32"
    if chosen == "float16" and not on_cuda:
        raise SettingsError("precision float16 needs a GPU; choose bfloat16 or float32")
    return _LIGHTNING_PRECISION[chosen]


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Silence advice of Lightning that does not apply here; its errors still come through."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        # No loader workers by design (see patch_loader); old tree code is Lightning's own.
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        # The loader starts where the run stands, which Lightning cannot know.
        warnings.filterwarnings("ignore", message="You're resuming from a checkpoint")
        warnings.filterwarnings("ignore", message="Checkpoint directory .* exists and is not empty")
        # The layout that makes the CPU's convolutions fast is not that of the averaging; it costs a copy.
        warnings.filterwarnings("ignore", message="[\\s\\S]*Grad strides do not match bucket view strides")
        # A run may do without validation.
        warnings.filterwarnings("ignore", message="Total length of `DataLoader` across ranks is zero")
        # Validation figures are gathered before they are logged; those of a step are the first process's.
        warnings.filterwarnings("ignore", message="It is recommended to use `self.log.*sync_dist=True")
        warnings.filterwarnings("ignore", message=".*LeafSpec.*")
        warnings.filterwarnings("ignore", message=".*treespec.*")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
