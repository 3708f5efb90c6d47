"""The bench whole: both sides in processes of their own, repeated, medians, and how their masks differ."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from marrowmap.data.errors import SettingsError, StudyError
from marrowmap.inference.bench.lesion_lists import compare_masks
from marrowmap.inference.bench.machine import free_mb, machine
from marrowmap.inference.bench.meter import STAGES
from marrowmap.inference.bench.task import MEASURED, Shape, Side, Task, read_mask
from marrowmap.models.engine import usable_threads

logger = logging.getLogger(__name__)

#: Bytes a voxel of the high-b volume that the usual way holds at its export: ten probabilities, the position
#: it samples each at in float64, and copies.
USUAL_BYTES_A_VOXEL = 100


@dataclass(frozen=True, kw_only=True)
class BenchSettings:
    """How the bench works.

    Attributes:
        weights: Folder of a bundle; None for the shipped one.
        repeats: Runs of each side; medians are told.
        threads: CPU threads of both sides; None for all that this process may use.
        sizes: Sizes of the high-b volume to measure growth at, each `(i, j, k)`; none leaves it out.
    """

    weights: Path | None = None
    repeats: int = 3
    threads: int | None = None
    sizes: tuple[Shape, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot be run.

        Raises:
            SettingsError: If repeats, threads or a size are not positive.
        """
        if self.repeats < 1:
            raise SettingsError(f"need one repeat or more, found {self.repeats}")
        if self.threads is not None and self.threads < 1:
            raise SettingsError(f"need one thread or more, found {self.threads}")
        if any(min(size) < 8 for size in self.sizes):
            raise SettingsError(f"need sizes of 8 voxels or more along each axis, found {self.sizes}")


def bench(study: Path, settings: BenchSettings | None = None) -> dict[str, Any]:
    """Measure both sides on one study.

    Args:
        study: As for `infer`.
        settings: How.

    Returns:
        Plain JSON values: machine, stages of both sides, totals and ratios, difference of the masks, what the
        dry run foretold beside what was measured, cold start, growth over sizes.

    Raises:
        MarrowmapError: If study or weights cannot be used; one clear line.
    """
    settings = settings or BenchSettings()
    here = machine()
    with tempfile.TemporaryDirectory(prefix="marrowmap-bench-") as folder:
        foretold = _run(Path(folder) / "plan", "plan", study, settings)
        whole = _both(Path(folder) / "whole", study, settings, None)
        growth = [_at_size(Path(folder), study, settings, size) for size in settings.sizes]
        help_s, help_cpu_s = help_seconds(settings.repeats)
    start = whole["ours"]["stages"]["start"]
    return {
        "machine": here,
        "repeats": settings.repeats,
        "threads": settings.threads or usable_threads(),
        **whole,
        "foretold": _beside(foretold, whole["ours"]),
        "cold_start": {"help_s": help_s, "help_cpu_s": help_cpu_s, "infer_s": start["seconds"],
                       "infer_cpu_s": start["cpu_seconds"]},
        "sizes": growth,
    }  # fmt: skip


def help_seconds(repeats: int) -> tuple[float, float]:
    """Return the least wall and CPU seconds of `marrowmap --help`: more is the machine's other work."""
    times = []
    for _ in range(max(repeats, 3)):
        started, before = time.perf_counter(), os.times()
        subprocess.run(
            [sys.executable, "-m", "marrowmap.scripts.main", "--help"], check=True, capture_output=True
        )
        after = os.times()
        cpu = after.children_user + after.children_system - before.children_user - before.children_system
        times.append((time.perf_counter() - started, cpu))
    return min(wall for wall, _ in times), min(cpu for _, cpu in times)


def _both(folder: Path, study: Path, settings: BenchSettings, size: Shape | None) -> dict[str, Any]:
    """Return medians of both sides, their ratios and the difference of their masks."""
    runs: dict[str, list[dict[str, Any]]] = {"usual": [], "ours": []}
    for repeat in range(settings.repeats):
        # Turn about: a machine that warms up or slows down must not favour a side.
        for side in ("usual", "ours"):
            logger.info("%s way, run %d of %d", side, repeat + 1, settings.repeats)
            runs[side].append(_run(folder / f"{side}{repeat}", side, study, settings, size))
    usual_mask, grid = read_mask(folder / "usual0")
    our_mask, _ = read_mask(folder / "ours0")
    sides = {side: _medians(found) for side, found in runs.items()}
    return {**sides, "ratio": _ratios(sides), "difference": asdict(compare_masks(usual_mask, our_mask, grid))}


def _at_size(folder: Path, study: Path, settings: BenchSettings, size: Shape) -> dict[str, Any]:
    """Return one point of the plot, or why it was left out."""
    words = "x".join(map(str, size))
    voxels = size[0] * size[1] * size[2]
    needed, free = voxels * USUAL_BYTES_A_VOXEL // 10**6, free_mb()
    if free is not None and needed > free:
        return {"size": words, "voxels": voxels, "left_out": f"needs about {needed} MB, {free} MB are free"}
    return {"size": words, "voxels": voxels, **_both(folder / words, study, settings, size)}


def _run(
    out: Path, side: Side, study: Path, settings: BenchSettings, size: Shape | None = None
) -> dict[str, Any]:
    """Run one side once and return what it measured.

    Raises:
        StudyError: If the side refused the study or the weights, or died.
    """
    out.mkdir(parents=True)
    threads = settings.threads or usable_threads()
    task = Task(side=side, study=study, weights=settings.weights, out=out, threads=threads, size=size)
    command = [sys.executable, "-m", "marrowmap.inference.bench.side", task.to_text()]
    # Libraries that take every core would make the threads asked for mean nothing.
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode or not (out / MEASURED).is_file():
        last = (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1]
        raise StudyError(f"the {side} way did not end ({last}); more free memory or a smaller size may help")
    measured: dict[str, Any] = json.loads((out / MEASURED).read_text(encoding="utf-8"))
    if "refused" in measured:
        raise StudyError(measured["refused"])
    return measured


def _medians(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the median of every cost over runs, and totals."""
    stages = {
        stage: {key: median(run["stages"][stage][key] for run in runs) for key in runs[0]["stages"][stage]}
        for stage in STAGES
    }
    totals = {
        key: median(sum(cost[key] for cost in run["stages"].values()) for run in runs)
        for key in ("seconds", "cpu_seconds")
    }
    peak = median(max(cost["peak_mb"] for cost in run["stages"].values()) for run in runs)
    return {**runs[0], "stages": stages, "total": {**totals, "peak_mb": peak}}


def _ratios(sides: dict[str, dict[str, Any]]) -> dict[str, float]:
    """Return how many times less ours takes, in all."""
    usual, ours = sides["usual"]["total"], sides["ours"]["total"]
    return {key: usual[key] / ours[key] if ours[key] else 0.0 for key in usual}


def _beside(foretold: dict[str, Any], ours: dict[str, Any]) -> dict[str, Any]:
    """Return what the dry run said beside what was measured; the bench's own export is no part of `infer`."""
    seconds = ours["total"]["seconds"] - ours["stages"]["export"]["seconds"]
    pairs = {
        "peak_memory_mb": (foretold["peak_memory_mb"], ours["total"]["peak_mb"]),
        "seconds": (foretold["seconds"], seconds),
    }
    return {
        name: {"foretold": said, "measured": found, "error": said / found - 1 if found else None}
        for name, (said, found) in pairs.items()
    }
