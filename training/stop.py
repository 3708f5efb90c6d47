"""SIGTERM during a run: the step under way is finished, a checkpoint is written, the run ends.

Batch systems, containers and `kill` send it before they take the machine away.
"""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from types import FrameType
from typing import Any

import lightning.pytorch as lightning
from lightning.pytorch.callbacks import Callback


class RunStopped(Exception):
    """The run was asked to end before its last step; its checkpoint is written.

    Attributes:
        checkpoint: Where to go on from.
    """

    def __init__(self, step: int, max_steps: int, checkpoint: Path) -> None:
        """Say where the run stands."""
        super().__init__(
            f"stopped by SIGTERM at step {step} of {max_steps}; {checkpoint} is written; "
            "go on with the same command and --resume true"
        )
        self.checkpoint = checkpoint


class StopOnSignal(Callback):
    """Turns SIGTERM into the end of the run at the next whole step, on all processes at once."""

    def __init__(self) -> None:
        """Nobody has asked yet."""
        self._is_asked = False

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Take the signal from Lightning, whose own handler ends a run without a checkpoint.

        Lightning puts the earlier handler back when the run is over.
        """
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._ask)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self._is_asked = True

    def on_train_batch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Tell the module; a process that was not asked stops with one that was."""
        if batch_idx % trainer.accumulate_grad_batches:
            return  # gradients that wait for their step are in no checkpoint
        is_asked = self._is_asked
        if trainer.world_size > 1:
            is_asked = trainer.strategy.reduce_boolean_decision(is_asked, all=False)
        pl_module.is_stop_asked = is_asked  # type: ignore[assignment]  # only MarrowModule is trained
