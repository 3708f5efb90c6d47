"""What the bench measured, as a table for a terminal and a plot over sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from marrowmap.data.errors import SettingsError
from marrowmap.inference.bench.meter import STAGES

_PLOT_KINDS = (".svg", ".png")


def bench_table(result: Mapping[str, Any]) -> str:
    """Return the result as text."""
    usual, ours, here = result["usual"], result["ours"], result["machine"]
    lines = [
        f"{here['processor']}, {result['threads']} of {here['cores']} cores, load {here['load_before']} "
        f"before; median of {result['repeats']}",
        f"usual: MONAI, {usual['engine']}; ours: {ours['engine']}",
        "",
        f"{'':<12}{'usual s':>10}{'CPU s':>10}{'MB':>8}   {'ours s':>10}{'CPU s':>10}{'MB':>8}",
    ]
    rows = [(stage, usual["stages"][stage], ours["stages"][stage]) for stage in STAGES]
    lines += [_row(*row) for row in (*rows, ("in all", usual["total"], ours["total"]))]
    ratio = result["ratio"]
    lines += [
        f"ours: {ratio['seconds']:.1f} times faster ({ratio['cpu_seconds']:.1f} times in CPU seconds), "
        f"1/{ratio['peak_mb']:.1f} of the memory",
        "",
        *_difference_lines(result["difference"]),
        *_foretold_lines(result),
        *_size_lines(result["sizes"]),
    ]
    return "\n".join(lines)


def _row(name: str, usual: Mapping[str, float], ours: Mapping[str, float]) -> str:
    def cells(cost: Mapping[str, float]) -> str:
        return f"{cost['seconds']:>10.2f}{cost['cpu_seconds']:>10.2f}{cost['peak_mb']:>8.0f}"

    return f"{name:<12}{cells(usual)}   {cells(ours)}"


def _difference_lines(difference: Mapping[str, Any]) -> list[str]:
    lines = [
        f"lesion masks: Dice {difference['dice']:.4f}; components {difference['usual_count']} usual, "
        f"{difference['our_count']} ours"
    ]
    for key, words in (("lost", "only the usual way"), ("gained", "only ours")):
        for lesion in difference[key]:
            x, y, z = lesion["centroid_ras_mm"]
            lines.append(
                f"  {words}: ({x:.0f}, {y:.0f}, {z:.0f}) mm, {lesion['volume_ml']:.3f} ml, "
                f"{lesion['longest_diameter_mm']:.1f} mm"
            )
    return lines


def _foretold_lines(result: Mapping[str, Any]) -> list[str]:
    lines = []
    for name, pair in result["foretold"].items():
        error = "" if pair["error"] is None else f" ({100 * pair['error']:+.0f} %)"
        lines.append(
            f"dry run, {name}: {pair['foretold']:.0f} foretold, {pair['measured']:.0f} measured{error}"
        )
    cold = result["cold_start"]
    return [
        *lines,
        f"cold start: --help {cold['help_s']:.2f} s ({cold['help_cpu_s']:.2f} s CPU); "
        f"infer ready after {cold['infer_s']:.1f} s ({cold['infer_cpu_s']:.1f} s CPU)",
    ]


def _size_lines(points: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = []
    for point in points:
        if "left_out" in point:
            lines.append(f"{point['size']}: left out, {point['left_out']}")
            continue
        usual, ours = point["usual"]["total"], point["ours"]["total"]
        lines.append(
            f"{point['size']}: usual {usual['seconds']:.1f} s, {usual['peak_mb']:.0f} MB; "
            f"ours {ours['seconds']:.1f} s, {ours['peak_mb']:.0f} MB; Dice {point['difference']['dice']:.4f}"
        )
    return lines


def plot_sizes(points: Sequence[Mapping[str, Any]], file: Path) -> None:
    """Draw seconds and memory of both sides over the voxels of the high-b volume.

    Args:
        points: `sizes` of the result.
        file: `.svg` or `.png` to write.

    Raises:
        SettingsError: If the file is of another kind, or no size was measured.
    """
    if file.suffix.lower() not in _PLOT_KINDS:
        raise SettingsError(f"need a plot named .svg or .png, found {file.name}")
    measured = [point for point in points if "left_out" not in point]
    if not measured:
        raise SettingsError("need one measured size or more for a plot; name smaller ones with --sizes")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4), layout="constrained")
    for axes, key, label in zip(
        figure.subplots(1, 2), ("cpu_seconds", "peak_mb"), ("CPU seconds", "peak memory (MB)"), strict=True
    ):
        for side in ("usual", "ours"):
            voxels = [point["voxels"] / 1e6 for point in measured]
            axes.plot(voxels, [point[side]["total"][key] for point in measured], marker="o", label=side)
        axes.set_xlabel("million voxels of the high-b volume")
        axes.set_ylabel(label)
        axes.set_ylim(bottom=0)
        axes.legend()
    figure.savefig(file)
