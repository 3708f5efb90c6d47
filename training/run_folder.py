"""A run's folder: begun, explained to whoever opens it, and never written over."""

from __future__ import annotations

from pathlib import Path

import yaml

from marrowmap.data.errors import SettingsError
from marrowmap.training.config import TrainSettings, as_plain
from marrowmap.training.ranks import is_first_process

LAST_CHECKPOINT, SPLIT_FILE, ORIGIN_FILE = "last.ckpt", "annotated.json", "started_from.json"
SETTINGS, TABLE, GUIDE, PICTURE = "settings.yaml", "metrics.csv", "run.md", "validation.png"
TENSORBOARD, MLFLOW_RUN, MLFLOW_STORE = "tensorboard", "mlflow_run.txt", "mlruns"

#: What each file of a run is; a test holds this against what runs leave.
FILES = {
    SETTINGS: "every setting of the run, defaults included; a configuration for `marrowmap train --config`",
    TABLE: "the curves: step, name, value. `total` is the loss, the other terms are its parts, unweighted; "
    "`waiting` is the share of time without a patch to work on; `validation_*` are measured on fixed patches "
    "of validation exams, which are simulated unless you brought your own",
    LAST_CHECKPOINT: "weights, averaged weights, optimiser, progress; `--resume true` goes on from here and "
    "`marrowmap export` makes a bundle of the averaged weights",
    PICTURE: "one validation patch at the last look: diffusion with the reference's outline in green (left) "
    "and the network's in red (right)",
    SPLIT_FILE: "with own annotated exams: which of them train and which validate",
    ORIGIN_FILE: "with `--init_from`: the weights that the run started from, and what they had learnt from",
    GUIDE: "this page",
    TENSORBOARD: "with `--tracking tensorboard`: the curves and pictures; `tensorboard --logdir` shows them",
    MLFLOW_RUN: "with `--tracking mlflow`: this run's number in the store `../mlruns`, so that a resumed run "
    "goes on in the same curves",
    "operating_points.json": "after `marrowmap export`: what each threshold gave on validation exams",
}


def begin_run(settings: TrainSettings) -> Path | None:
    """Make the run's folder, write the settings whole, and return the checkpoint to resume from.

    Raises:
        SettingsError: If there is nothing to resume, or a run is already there.
    """
    last = settings.run / LAST_CHECKPOINT
    if settings.resume and not last.is_file():
        raise SettingsError(f"nothing to resume: no {LAST_CHECKPOINT} in {settings.run}; leave out --resume")
    if last.is_file() and not settings.resume:
        raise SettingsError(f"{settings.run} holds a run; add --resume true, or name another --run")
    if is_first_process():
        settings.run.mkdir(parents=True, exist_ok=True)
        text = yaml.safe_dump(as_plain(settings), sort_keys=False)
        (settings.run / SETTINGS).write_text(text, encoding="utf-8")
        (settings.run / GUIDE).write_text(guide(settings), encoding="utf-8")
    return last if settings.resume else None


def guide(settings: TrainSettings) -> str:
    """Return the page that explains every file of a run's folder."""
    processes = settings.devices * settings.nodes
    patches = settings.batch_size * settings.accumulate * processes
    lines = [
        f"# Training run {settings.run.name}",
        "",
        f"{settings.max_steps} steps of {patches} patches ({settings.batch_size} at a time, "
        f"{settings.accumulate} times, on {processes} devices), seed {settings.seed}.",
        "",
        "| file | holds |",
        "|---|---|",
        *(f"| `{name}` | {words} |" for name, words in FILES.items()),
        "",
        "Files are there once the run has come to them. For research; not a medical device.",
    ]
    return "\n".join(lines) + "\n"
