"""What a run says while it runs: lines for a person, a CSV for a program."""

from __future__ import annotations

import csv
import logging
import time
from pathlib import Path
from typing import Any

import lightning.pytorch as lightning
from lightning.pytorch.callbacks import Callback

from marrowmap.training.tracking import Tracker

_log = logging.getLogger(__name__)


class Progress(Callback):
    """Logs a line every few seconds: step, loss, patches a second, share of time waiting for data."""

    def __init__(
        self, every_s: float, table: Path, tracker: Tracker, validated_on: str = "simulated"
    ) -> None:
        """Prepare the table.

        Args:
            every_s: Seconds between lines.
            table: CSV to append to.
            tracker: Gets the same figures.
            validated_on: What the validation exams are, said beside every number of theirs.
        """
        self._every_s, self._table, self._tracker = every_s, _Table(table), tracker
        self._validated_on = validated_on
        self._patches = 0
        self._said = self._ended = time.monotonic()
        self._waited_s = 0.0

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Forget the time before the first step, and rows after the checkpoint that a run goes on from."""
        if trainer.is_global_zero:
            self._table.open_at(trainer.global_step)
            self._tracker.open(trainer.global_step)
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
        self._patches += len(batch["image"]) * trainer.world_size
        self._ended = time.monotonic()
        elapsed = self._ended - self._said
        if elapsed < self._every_s or (batch_idx + 1) % trainer.accumulate_grad_batches:
            return
        row = _numbers(trainer, "train/")
        row["patches_per_s"] = self._patches / elapsed
        row["waiting"] = self._waited_s / elapsed
        if not trainer.is_global_zero:
            self._said, self._patches, self._waited_s = self._ended, 0, 0.0
            return
        progress = pl_module.progress()  # type: ignore[operator]  # only MarrowModule is trained with this
        self._add(trainer.global_step, row)
        _log.info(
            "step %d (%.0f %%)  loss %.3f  lesion Dice loss %.3f  %.2f patches/s  waiting %.0f %%",
            trainer.global_step, 100 * progress, row.get("total", float("nan")),
            row.get("lesion_dice", float("nan")), row["patches_per_s"], 100 * row["waiting"],
        )  # fmt: skip
        self._said, self._patches, self._waited_s = self._ended, 0, 0.0

    def on_validation_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Say what the fixed patches gave."""
        row = _numbers(trainer, "validation/")
        if trainer.is_global_zero:
            self._add(trainer.global_step, {f"validation_{name}": value for name, value in row.items()})
            words = "  ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in row.items())
            _log.info("validation (%s) at step %d: %s", self._validated_on, trainer.global_step, words)
        # Validation is neither training nor waiting.
        self._said += time.monotonic() - self._ended
        self._ended = time.monotonic()

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Close the curves."""
        self._tracker.close()

    def on_exception(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, exception: BaseException
    ) -> None:
        """Close the curves of a run that failed."""
        self._tracker.close()

    def _add(self, step: int, row: dict[str, float]) -> None:
        self._table.add(step, row)
        self._tracker.add(step, row)


def _numbers(trainer: lightning.Trainer, prefix: str) -> dict[str, float]:
    return {
        name.removeprefix(prefix): float(value)
        for name, value in {**trainer.logged_metrics, **trainer.callback_metrics}.items()
        if name.startswith(prefix)
    }


_COLUMNS = ["step", "name", "value"]


class _Table:
    """Long CSV (step, name, value): new names need no new columns."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def open_at(self, step: int) -> None:
        """Keep the rows up to a step; a run cut short wrote more than its last checkpoint knows."""
        rows: list[list[str]] = []
        if self._path.exists():
            with self._path.open(newline="", encoding="utf-8") as file:
                # A last line cut short by a power cut has no number yet, or is written again.
                rows = [row for row in csv.reader(file) if len(row) == 3 and row[0].isdigit()]
        with self._path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([_COLUMNS, *(row for row in rows if int(row[0]) <= step)])

    def add(self, step: int, row: dict[str, float]) -> None:
        for name, value in row.items():
            self._write([step, name, f"{value:.6g}"])

    def _write(self, cells: list[Any]) -> None:
        with self._path.open("a", newline="", encoding="utf-8") as file:
            csv.writer(file).writerow(cells)
