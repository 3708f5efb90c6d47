"""Working spacing, patch and batch for own exams: proposed from what they are like, written as YAML.

The proposal is data: `marrowmap train --config FILE` takes it, and whoever knows better edits it. Each
figure carries its reason as a comment.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Literal

import yaml

from marrowmap.data.errors import SettingsError
from marrowmap.models.bundle import Bundle
from marrowmap.models.unet import UNetSettings
from marrowmap.training.config import TrainSettings, as_plain
from marrowmap.training.fingerprint import Fingerprint

#: Finest working spacing: below it a body has more voxels than a network sees in reasonable time.
FINEST_MM = 1.5
#: Voxels across a lesion of 5 mm, the smallest focal one, and across the median annotated lesion.
VOXELS_SMALLEST, VOXELS_MEDIAN, SMALLEST_MM = 2, 4, 5.0
#: What a patch covers where the body is that large: a pelvis's half, and vertebrae enough to tell which.
COVERED_MM = (160.0, 160.0, 240.0)
#: Memory of a training step for each voxel of the batch. Measured with torch 2.13 on a CPU in float32, the
#: default network with its losses and AdamW, patches of 64 x 64 x 96: peak resident memory of two steps was
#: 1,167 MB with 2 patches and 1,574 MB with 4, which is 518 bytes a voxel. (bfloat16: 471.) Not measured on
#: a GPU, where the same values are kept.
BYTES_A_VOXEL = 520
#: What the same runs needed besides: program, weights, their averages, AdamW's moments.
BYTES_BESIDES = 800_000_000
#: Share of the free memory that a proposal may take: exams are read and validated beside the step.
SHARE = 0.5
#: Patches a step: the learning rate was chosen with as many; a GPU is hardly busier with two than with eight.
PATCHES_A_STEP = {"cpu": 2, "cuda": 8}
#: With one patch, torch leaves its fast convolutions on the CPU.
FEWEST = {"cpu": 2, "cuda": 1}

Device = Literal["cpu", "cuda"]


@dataclass(frozen=True, kw_only=True)
class Memory:
    """The memory that a proposal is for.

    Attributes:
        device: Where the network is trained.
        free_bytes: Free there, now; None where the system does not tell.
    """

    device: Device
    free_bytes: int | None

    @property
    def patch_voxels(self) -> int:
        """How many voxels a batch may have; no memory known counts as 8 GB."""
        free = 8e9 if self.free_bytes is None else self.free_bytes
        return max(0, int((free * SHARE - BYTES_BESIDES) / BYTES_A_VOXEL))

    def __str__(self) -> str:
        """Return the memory in words."""
        if self.free_bytes is None:
            return f"8 GB, assumed ({self.device}: the system does not say how much is free)"
        return f"{self.free_bytes / 1e9:.1f} GB free ({self.device})"


def free_memory(device: Literal["auto", "cpu", "cuda"]) -> Memory:
    """Return the free memory of the device that `marrowmap train` would take."""
    import torch

    if device == "cuda" or (device == "auto" and torch.cuda.is_available()):
        return Memory(device="cuda", free_bytes=int(torch.cuda.mem_get_info()[0]))
    return Memory(device="cpu", free_bytes=_available(Path("/proc/meminfo")))


def _available(meminfo: Path) -> int | None:
    """Return what Linux could give a program without swapping; None elsewhere."""
    if not meminfo.is_file():
        return None
    lines = dict(line.split(":", 1) for line in meminfo.read_text().splitlines() if ":" in line)
    return int(lines["MemAvailable"].split()[0]) * 1024 if "MemAvailable" in lines else None


def propose(
    found: Fingerprint, data: Path, settings: TrainSettings, memory: Memory, bundle: Bundle | None
) -> str:
    """Return a configuration as YAML, each proposed key with its reason.

    Args:
        found: What the exams are like.
        data: Their folder.
        settings: What was asked for on the command line; the network and `init_from` count.
        memory: Where the training will be.
        bundle: The weights of `init_from`: their input and network are kept.

    Raises:
        SettingsError: If not even the smallest batch fits into the memory.
    """
    if bundle is None:
        model_input: dict[str, Any] = {}
        spacing, why = _spacing(found)
        model_input["spacing_mm"] = spacing
    else:
        model_input = as_plain(bundle.input)
        spacing = bundle.input.spacing_mm
        why = f"kept, with all of model_input and network: {bundle.name} was trained so"
    multiple = settings.network.patch_multiple if bundle is None else _multiple(bundle)
    patch, why_patch = _patch(found, spacing, multiple, memory)
    batch, accumulate, why_batch = _batch(patch, memory)
    lines = [f"# {line}" for line in _measured(found)]
    if bundle is not None:
        lines += ["", _yaml({"init_from": str(settings.init_from)})]
    lines += ["", f"# {why}", _yaml({"model_input": model_input})]
    if bundle is not None:
        lines += [_yaml({"network": _network(bundle)})]
    lines += ["", "stream:", f"  {_yaml({'annotated': str(data)})}", f"  # {why_patch}"]
    lines += [f"  patch_size: {list(patch)}", *_folds(found)]
    lines += ["", f"# {why_batch}", f"batch_size: {batch}", f"accumulate: {accumulate}"]
    return "\n".join(lines) + "\n"


def _yaml(plain: dict[str, Any]) -> str:
    return yaml.safe_dump(plain, sort_keys=False, default_flow_style=False, width=200).rstrip()


def _network(bundle: Bundle) -> dict[str, Any]:
    """Return the network's shape as lists and numbers."""
    return {key: list(value) if isinstance(value, tuple) else value for key, value in bundle.network.items()}


def _multiple(bundle: Bundle) -> int:
    """Return what the sides of a patch of the bundle's network are multiples of."""
    return UNetSettings(**{**bundle.network, "features": tuple(bundle.network["features"])}).patch_multiple


def _measured(found: Fingerprint) -> list[str]:
    """Return the fingerprint in words."""
    fine, other, coarse = found.spacing_mm
    x, y, z = found.extent_mm
    counts = ", ".join(f"{name} {count}" for name, count in sorted(found.sequences.items()))
    sizes = found.diameters_mm
    lesions = f"median {median(sizes):.1f} mm, {sizes[0]:.1f} to {sizes[-1]:.1f}" if sizes else "none drawn"
    return [
        "A proposal of `marrowmap train --propose`: edit it, then marrowmap train --run RUN --config FILE",
        f"Measured on {found.read} of {found.exams} exams of {found.patients} patients (medians):",
        f"  high-b diffusion: voxels {fine:.2f} x {other:.2f} x {coarse:.2f} mm, extent {x:.0f} x {y:.0f} x "
        f"{z:.0f} mm",
        f"  exams with each sequence: {counts}",
        f"  lesions: {len(sizes)}, longest diameter {lesions}",
    ]


def _spacing(found: Fingerprint) -> tuple[float, str]:
    """Return the working spacing in mm, a multiple of 0.1, and why.

    Lesions decide; images that are coarser than the lesions want hold it back, but never so far that the
    smallest focal lesion falls below two voxels.
    """
    coarsest = SMALLEST_MM / VOXELS_SMALLEST
    in_plane = (found.spacing_mm[0] + found.spacing_mm[1]) / 2
    wish = median(found.diameters_mm) / VOXELS_MEDIAN if found.diameters_mm else coarsest
    # Tenths, towards more voxels for a wish and fewer for a limit; 1e-6 takes care of 2.5 held as 2.4999.
    wish, finest = math.floor(wish * 10 + 1e-6) / 10, math.ceil(in_plane * 10 - 1e-6) / 10
    if max(wish, finest) >= coarsest:
        return coarsest, f"{VOXELS_SMALLEST} voxels across a lesion of {SMALLEST_MM:g} mm"
    if max(wish, finest) < FINEST_MM:
        return FINEST_MM, f"the images are finer ({in_plane:.2f} mm in plane), but cost and memory grow"
    if finest >= wish:
        return finest, f"lesions are small, and the images no finer in plane ({in_plane:.2f} mm)"
    return wish, f"{VOXELS_MEDIAN} voxels across the median lesion of {median(found.diameters_mm):.1f} mm"


def _patch(
    found: Fingerprint, spacing_mm: float, multiple: int, memory: Memory
) -> tuple[tuple[int, int, int], str]:
    """Return the patch in voxels and why; its longest side shrinks until the smallest batch fits.

    Raises:
        SettingsError: If no patch fits.
    """
    wanted = [min(covered, extent) for covered, extent in zip(COVERED_MM, found.extent_mm, strict=True)]
    sides = [multiple * max(1, math.ceil(mm / spacing_mm / multiple - 1e-6)) for mm in wanted]
    is_whole, most = True, memory.patch_voxels // FEWEST[memory.device]
    while math.prod(sides) > most:
        longest = sides.index(max(sides))
        if sides[longest] == multiple:
            raise SettingsError(
                f"no patch fits into the memory: {memory}, and {FEWEST[memory.device]} patches of "
                f"{multiple} voxels a side need more; free some, or train elsewhere"
            )
        sides[longest] -= multiple
        is_whole = False
    covers = " x ".join(f"{side * spacing_mm:.0f}" for side in sides)
    why = f"multiples of {multiple} (the network halves them); {covers} mm"
    if not is_whole:
        why += f": less than {' x '.join(f'{mm:.0f}' for mm in wanted)} mm, for memory ({memory})"
    i, j, k = sides
    return (i, j, k), why


def _batch(patch: tuple[int, int, int], memory: Memory) -> tuple[int, int, str]:
    """Return patches at a time, how often their gradients are added up, and why."""
    aim = PATCHES_A_STEP[memory.device]
    fits = memory.patch_voxels // math.prod(patch)
    batch = max(FEWEST[memory.device], min(aim, fits))
    accumulate = math.ceil(aim / batch)
    why = (
        f"{aim} patches a step; {memory}, of which {SHARE:.0%} hold {fits} patches of "
        f"{math.prod(patch) * BYTES_A_VOXEL / 1e6:.0f} MB ({BYTES_A_VOXEL} bytes a voxel, measured with the "
        "default network)"
    )
    if memory.device == "cpu":
        why += "; never 1 on a CPU, which would be slow"
    return batch, accumulate, why


def _folds(found: Fingerprint) -> list[str]:
    """Return the lines on folds where there are fewer patients than the default has folds."""
    if found.patients >= 5:
        return []
    if found.patients == 1:
        return ["  # one patient: nobody can be held out", "  fold: null"]
    return [f"  # one part for each of {found.patients} patients", f"  folds: {found.patients}"]
