"""Curves and pictures of a run for MLflow or TensorBoard; both on disk, neither needed.

Nothing leaves the machine: MLflow's store is a folder, and its telemetry is switched off.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from marrowmap.data.errors import SettingsError
from marrowmap.training.config import TrainSettings, as_plain
from marrowmap.training.run_folder import MLFLOW_RUN, MLFLOW_STORE, TENSORBOARD

#: The package that each way needs, and the extra that brings it.
PACKAGES = {"mlflow": ("mlflow", "mlflow"), "tensorboard": ("tensorboard", "train")}
EXPERIMENT = "marrowmap"

#: uint8 `(rows, columns, 3)`.
Picture = npt.NDArray[np.uint8]


class Tracker(Protocol):
    """Where a run's figures go besides its own table."""

    def open(self, step: int) -> None:
        """Begin, or go on from a step."""
        ...

    def add(self, step: int, row: Mapping[str, float]) -> None:
        """Take figures of a step."""
        ...

    def show(self, step: int, picture: Picture) -> None:
        """Take the validation picture of a step."""
        ...

    def close(self) -> None:
        """Write what is left."""
        ...


def require_tracking(settings: TrainSettings) -> None:
    """Refuse a run whose tracking is not installed, before hours of preparing.

    Raises:
        SettingsError: If the package is missing.
    """
    if settings.tracking == "none":
        return
    package, extra = PACKAGES[settings.tracking]
    if find_spec(package) is None:
        raise SettingsError(
            f"--tracking {settings.tracking} needs the package {package}, found none; "
            f"run: pip install 'marrowmap[{extra}]'"
        )


def tracker_of(settings: TrainSettings) -> Tracker:
    """Return the run's tracker, not open yet."""
    if settings.tracking == "mlflow":
        return _MlflowTracker(settings)
    if settings.tracking == "tensorboard":
        return _TensorBoardTracker(settings.run / TENSORBOARD)
    return _NoTracker()


class _NoTracker:
    def open(self, step: int) -> None:
        pass

    def add(self, step: int, row: Mapping[str, float]) -> None:
        pass

    def show(self, step: int, picture: Picture) -> None:
        pass

    def close(self) -> None:
        pass


class _TensorBoardTracker:
    """Event files in the run's folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writer: Any = None

    def open(self, step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        # What a run cut off wrote after its checkpoint is written again.
        self._writer = SummaryWriter(str(self._folder), purge_step=step + 1 if step else None)

    def add(self, step: int, row: Mapping[str, float]) -> None:
        for name, value in row.items():
            self._writer.add_scalar(name, value, step)

    def show(self, step: int, picture: Picture) -> None:
        self._writer.add_image("validation", picture, step, dataformats="HWC")

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


class _MlflowTracker:
    """A run in the store beside the run's folder, so that the runs in one folder are compared."""

    def __init__(self, settings: TrainSettings) -> None:
        self._settings = settings
        self._client: Any = None
        self._run = ""

    def open(self, step: int) -> None:
        os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
        # Its newer stores are databases; a folder needs no server and travels with the runs.
        os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
        from mlflow import MlflowClient
        from mlflow.entities import Param

        run = self._settings.run.resolve()
        self._client = MlflowClient(tracking_uri=(run.parent / MLFLOW_STORE).as_uri())
        known = run / MLFLOW_RUN
        if step and known.is_file():
            self._run = known.read_text(encoding="utf-8").strip()
            return
        experiment = self._client.get_experiment_by_name(EXPERIMENT)
        number = experiment.experiment_id if experiment else self._client.create_experiment(EXPERIMENT)
        self._run = self._client.create_run(number, run_name=run.name).info.run_id
        known.write_text(self._run + "\n", encoding="utf-8")
        flat = _flat(as_plain(self._settings))
        self._client.log_batch(self._run, params=[Param(name, value) for name, value in flat.items()])

    def add(self, step: int, row: Mapping[str, float]) -> None:
        from mlflow.entities import Metric

        now_ms = int(time.time() * 1000)
        metrics = [Metric(name, float(value), now_ms, step) for name, value in row.items()]
        self._client.log_batch(self._run, metrics=metrics)

    def show(self, step: int, picture: Picture) -> None:
        self._client.log_image(self._run, picture, artifact_file=f"validation/step_{step:07d}.png")

    def close(self) -> None:
        if self._client is not None:
            self._client.set_terminated(self._run)


def _flat(plain: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Return nested settings under dotted names, as the command line has them."""
    flat: dict[str, str] = {}
    for name, value in plain.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = str(value)
    return flat
