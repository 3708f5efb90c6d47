"""`marrowmap bench STUDY`: our speed and memory against the usual way, on the same study and weights."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

from jsonargparse import ArgumentParser

from marrowmap.data.errors import SettingsError


def main(arguments: list[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: Command line without the program's name; None takes the process's own.

    Returns:
        Exit code 0. Errors of the input are raised as `MarrowmapError`, wrong options exit 2.
    """
    options = _parser().parse_args(arguments)
    from marrowmap.inference.bench.run import BenchSettings, bench
    from marrowmap.inference.bench.tables import bench_table, plot_sizes

    if not options.quiet:
        logging.getLogger("marrowmap").setLevel(logging.INFO)
    settings = BenchSettings(
        weights=options.weights,
        repeats=options.repeats,
        threads=options.threads,
        sizes=tuple(_size(text) for text in options.sizes),
    )
    if options.plot and not settings.sizes:
        raise SettingsError("need --sizes for --plot, found none; such as --sizes 128x128x200 256x256x200")
    result = bench(options.study, settings)
    if options.plot:
        plot_sizes(result["sizes"], options.plot)
    print(json.dumps(result, indent=2) if options.json else bench_table(result))
    return 0


def _size(text: str) -> tuple[int, int, int]:
    """Return `512x512x1000` as three numbers.

    Raises:
        SettingsError: If it is written otherwise.
    """
    words = text.lower().split("x")
    if len(words) != 3 or not all(word.isdigit() for word in words):
        raise SettingsError(f"need a size such as 256x256x200, found {text}")
    i, j, k = (int(word) for word in words)
    return i, j, k


def _parser() -> ArgumentParser:
    parser = ArgumentParser(prog="marrowmap bench", description="Our speed against the usual way.")
    parser.add_argument("study", type=Path, help="DICOM folder, zip, or folder of NIfTI named by sequence.")
    parser.add_argument("--weights", type=Path | None, default=None, help="Bundle; without, the shipped one.")
    parser.add_argument("--repeats", type=int, default=3, help="Runs of each side; medians are told.")
    parser.add_argument("--threads", type=int | None, default=None, help="CPU threads of both; all.")
    parser.add_argument("--sizes", nargs="+", default=[], help="Sizes of the high-b volume: 256x256x200 ...")
    parser.add_argument("--plot", type=Path | None, default=None, help="Draw growth here (.svg or .png).")
    parser.add_argument("--json", action="store_true", help="Print everything as JSON.")
    parser.add_argument("--quiet", action="store_true", help="No progress on stderr.")
    return parser


if __name__ == "__main__":
    sys.exit(main())
