"""What a run says while it runs: lines for a person, a CSV for a program."""

from __future__ import annotations

import csv
import logging
import time
from pathlib import Path
from typing import Any

import lightning.pytorch as lightning
from lightning.pytorch.callbacks import Callback

_log = logging.getLogger(__name__)


class Progress(Callback):
    """Logs a line every few seconds: step, loss, patches a second, share of time waiting for data."""

    def __init__(self, every_s: float, table: Path, validated_on: str = "simulated") -> None:
        """Prepare the table.

        Args:
            every_s: Seconds between lines.
            table: CSV to append to.
            validated_on: What the validation exams are, said beside every number of theirs.
        """
        self._validated_on = validated_on
        self._every_s, self._table = every_s, _Table(table)
        self._said = self._ended = time.monotonic()
        self._steps, self._waited_s = 0, 0.0

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Forget the time before the first step."""
        self._said = self._ended = time.monotonic()

    def on_train_batch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Count the time since the last step ended as waiting for patches."""
        self._waited_s += time.monotonic() - self._ended

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Say where the run is, when it is time to."""
        self._steps += 1
        self._ended = time.monotonic()
        elapsed = self._ended - self._said
        if elapsed < self._every_s:
            return
        row = _numbers(trainer, "train/")
        row["patches_per_s"] = self._steps * len(batch["image"]) / elapsed
        row["waiting"] = self._waited_s / elapsed
        progress = pl_module.progress()  # type: ignore[operator]  # only MarrowModule is trained with this
        self._table.add(trainer.global_step, row)
        _log.info(
            "step %d (%.0f %%)  loss %.3f  lesion Dice loss %.3f  %.2f patches/s  waiting %.0f %%",
            trainer.global_step, 100 * progress, row.get("total", float("nan")),
            row.get("lesion_dice", float("nan")), row["patches_per_s"], 100 * row["waiting"],
        )  # fmt: skip
        self._said, self._steps, self._waited_s = self._ended, 0, 0.0

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Say what the fixed patches gave."""
        row = _numbers(trainer, "validation/")
        self._table.add(trainer.global_step, {f"validation_{name}": value for name, value in row.items()})
        words = "  ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in row.items())
        _log.info("validation (%s) at step %d: %s", self._validated_on, trainer.global_step, words)
        # Validation is neither training nor waiting.
        self._said += time.monotonic() - self._ended
        self._ended = time.monotonic()


def _numbers(trainer: lightning.Trainer, prefix: str) -> dict[str, float]:
    return {
        name.removeprefix(prefix): float(value)
        for name, value in trainer.logged_metrics.items() | trainer.callback_metrics.items()
        if name.startswith(prefix)
    }


class _Table:
    """Long CSV (step, name, value): new names need no new columns."""

    def __init__(self, path: Path) -> None:
        self._path = path
        if not path.exists():
            self._write(["step", "name", "value"])

    def add(self, step: int, row: dict[str, float]) -> None:
        for name, value in row.items():
            self._write([step, name, f"{value:.6g}"])

    def _write(self, cells: list[Any]) -> None:
        with self._path.open("a", newline="", encoding="utf-8") as file:
            csv.writer(file).writerow(cells)
