"""What one process of the bench is told to do, and what it leaves behind."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from marrowmap.data.exam import Exam, LesionMask, Sequence, Volume
from marrowmap.data.grid import Grid, resample_linear

Side = Literal["ours", "usual", "plan"]
Shape = tuple[int, int, int]

MEASURED, MASK = "measured.json", "mask.npz"


@dataclass(frozen=True, kw_only=True)
class Task:
    """One run of one side.

    Attributes:
        side: `ours`, `usual`, or `plan` for what `infer --dry-run` foretells.
        study: The study.
        weights: Folder of the bundle; None for the shipped one.
        out: Folder that the run writes into.
        threads: CPU threads.
        size: Voxels that the high-b diffusion volume is brought to before the clock of `resample` starts;
            None leaves it as it is.
    """

    side: Side
    study: Path
    weights: Path | None
    out: Path
    threads: int
    size: Shape | None = None

    def to_text(self) -> str:
        """Return the task as one line of JSON."""
        plain = asdict(self) | {"study": str(self.study), "out": str(self.out)}
        return json.dumps(plain | {"weights": str(self.weights) if self.weights else None})


def task_of(text: str) -> Task:
    """Return the task that `Task.to_text` wrote."""
    plain: dict[str, Any] = json.loads(text)
    plain |= {"study": Path(plain["study"]), "out": Path(plain["out"])}
    plain["weights"] = Path(plain["weights"]) if plain["weights"] else None
    plain["size"] = tuple(plain["size"]) if plain["size"] else None
    return Task(**plain)


def source_grid(exam: Exam) -> Grid:
    """Return the grid of the high-b diffusion volume: where masks are compared."""
    volume = exam[Sequence.DWI_HIGH]
    return Grid(shape=volume.shape, affine_ras_mm=volume.affine_ras_mm)


def brought_to(exam: Exam, size: Shape | None) -> Exam:
    """Return the exam with its high-b volume in so many voxels over the same extent."""
    if size is None:
        return exam
    volume = exam[Sequence.DWI_HIGH]
    step = np.array(volume.shape) / np.array(size)
    affine = volume.affine_ras_mm.copy()
    affine[:3, :3] = affine[:3, :3] * step
    # The outer faces stay where they are, so the first centre moves by half the difference.
    affine[:3, 3] += volume.affine_ras_mm[:3, :3] @ ((step - 1) / 2)
    array = resample_linear(volume.array, volume.affine_ras_mm, Grid(shape=size, affine_ras_mm=affine))
    finer = Volume(array=array, affine_ras_mm=affine, b_value_s_per_mm2=volume.b_value_s_per_mm2)
    volumes = dict(exam.volumes) | {Sequence.DWI_HIGH: finer}
    return Exam(volumes=volumes, study=exam.study, warnings=exam.warnings)


def write_mask(folder: Path, mask: LesionMask, grid: Grid) -> None:
    """Keep a lesion mask with its grid."""
    np.savez_compressed(
        folder / MASK, bits=np.packbits(mask), shape=np.array(mask.shape), affine=grid.affine_ras_mm
    )


def read_mask(folder: Path) -> tuple[LesionMask, Grid]:
    """Return what `write_mask` kept."""
    with np.load(folder / MASK, allow_pickle=False) as kept:
        i, j, k = (int(n) for n in kept["shape"])
        bits = np.unpackbits(kept["bits"], count=i * j * k)
        return bits.reshape(i, j, k).astype(bool), Grid(shape=(i, j, k), affine_ras_mm=kept["affine"])
