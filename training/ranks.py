"""Several processes that train one network: who is who, sums over all of them, who prepares what."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import torch
from torch import distributed

from marrowmap.data.errors import SettingsError
from marrowmap.training.config import TrainSettings

_Item = TypeVar("_Item")


def is_first_process() -> bool:
    """Say whether this process writes and speaks for all; true where it is the only one.

    Known before the processes have met, from what torchrun, SLURM or Lightning tell each of them.
    """
    return _told("RANK", "SLURM_PROCID", default=_told("NODE_RANK") + _told("LOCAL_RANK")) == 0


def _told(*names: str, default: int = 0) -> int:
    """Return the first of these environment variables that is a number."""
    return next((int(os.environ[name]) for name in names if os.environ.get(name, "").isdigit()), default)


def world_size() -> int:
    """Return the number of processes that train together, 1 before they have met."""
    has_met = distributed.is_available() and distributed.is_initialized()
    return distributed.get_world_size() if has_met else 1


def require_launch(settings: TrainSettings) -> None:
    """Refuse a launcher that started another number of processes than the settings say.

    Without this, two processes started for one device would both train, alone, into one folder.

    Raises:
        SettingsError: If the numbers differ.
    """
    launched = os.environ.get("WORLD_SIZE")
    wanted = settings.devices * settings.nodes
    if launched is not None and launched.isdigit() and int(launched) != wanted:
        raise SettingsError(
            f"--devices {settings.devices} --nodes {settings.nodes} needs {wanted} processes, found "
            f"{launched} started (WORLD_SIZE); change one of them"
        )


class _SumOverRanks(torch.autograd.Function):
    """The sum of a tensor over all processes, each of which puts it to the same use.

    Every process has the same gradient for the sum, and averaging gradients over processes divides by
    their number: multiplied by it here, the average is the gradient of one process with all patches.
    """

    @staticmethod
    def forward(ctx: Any, value: torch.Tensor) -> torch.Tensor:
        total = value.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *grad_outputs: torch.Tensor) -> torch.Tensor:
        return grad_outputs[0] * distributed.get_world_size()


def sum_over_ranks(*values: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Return the sum of each tensor over all processes; gradients pass. Every process must call it."""
    if world_size() == 1:
        return values
    flat = torch.cat([value.float().reshape(-1) for value in values])
    total = _SumOverRanks.apply(flat)
    assert isinstance(total, torch.Tensor)
    parts = total.split([value.numel() for value in values])
    return tuple(part.reshape(value.shape) for part, value in zip(parts, values, strict=True))


def gathered(items: Sequence[_Item]) -> list[_Item]:
    """Return the items of all processes, those of the first one first. Every process must call it."""
    if world_size() == 1:
        return list(items)
    parts: list[Any] = [None] * world_size()
    distributed.all_gather_object(parts, list(items))
    return [item for part in parts for item in part]


def from_first(value: float, device: torch.device) -> float:
    """Return the first process's number. Every process must call it."""
    if world_size() == 1:
        return value
    shared = torch.tensor([value], dtype=torch.float64, device=device)
    distributed.broadcast(shared, src=0)
    return float(shared)


def own_share_first(items: Iterable[_Item]) -> list[_Item]:
    """Return all items, this process's share of them first.

    Processes that fill one cache then meet each other's finished exams instead of making them twice, and
    none waits for one that died.
    """
    rank = _told("RANK", "SLURM_PROCID", "LOCAL_RANK")
    world = max(_told("WORLD_SIZE", "SLURM_NTASKS"), 1)
    listed = list(items)
    own = set(range(rank % world, len(listed), world))
    return [listed[n] for n in sorted(own)] + [item for n, item in enumerate(listed) if n not in own]
