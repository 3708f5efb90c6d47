"""`python -m marrowmap.scripts.bench_training`: a step of our loop against one written by hand.

On toy exams, for the time does not depend on what the patches show.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Literal

from jsonargparse import auto_cli


def bench(
    steps: int = 10,
    turns: int = 3,
    threads: int = 1,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    precision: Literal["auto", "float32", "bfloat16"] = "auto",
) -> None:
    """Print the step times of both loops.

    Args:
        steps: Counted steps of a turn.
        turns: Turns of each loop; they alternate.
        threads: CPU threads.
        device: Where.
        precision: As in `marrowmap train`.
    """
    import torch

    from marrowmap.training.config import StreamSettings, TrainSettings
    from marrowmap.training.prepare import open_cache, prepare
    from marrowmap.training.step_time import measure
    from marrowmap.training.toy import toy_exam

    torch.set_num_threads(threads)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        settings = TrainSettings(threads=threads, device=device, precision=precision)
        stream = StreamSettings(exams=2, validation_exams=1, cache=folder / "cache", workers=0)
        settings = replace(settings, stream=stream)
        cache = open_cache(settings)
        seeds = [*stream.training_seeds, *stream.validation_seeds]
        prepare(cache, seeds, settings.model_input, make=toy_exam)
        times = measure(cache, settings, folder / "runs", steps, turns)
    print(
        f"{times.steps} steps each, {turns} turns, patches {stream.patch_size}, batch {settings.batch_size}"
    )
    for name, ours, plain in (
        ("clock", times.ours_s, times.plain_s),
        ("CPU  ", times.ours_cpu_s, times.plain_cpu_s),
    ):
        print(f"{name}  ours {ours:.3f} s  plain {plain:.3f} s  difference {100 * (ours / plain - 1):+.1f} %")
    print(f"waiting for patches {100 * times.waiting:.1f} % of the time")


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark.

    Args:
        arguments: Command line without the program's name; None takes the process's own.
    """
    auto_cli(bench, args=arguments, as_positional=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
