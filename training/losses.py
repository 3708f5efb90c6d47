"""What the network is told: Dice and cross-entropy for lesions and for regions."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional

from marrowmap.models.unet import LESION_CHANNEL, REGION_CHANNEL_SLICE, STEM_STRIDE
from marrowmap.training.config import LossSettings

#: Added to both sides of a Dice ratio, in voxels: a patch without lesion must not divide by zero,
#: and one false voxel in it must not cost everything.
SMOOTH_VOXELS = 10.0

#: Lesion label of voxels that are neither right nor wrong: nodules below the size that counts.
IGNORED = 2

#: Share of the lesion terms' weight at the start of a run.
LESION_START = 0.2


@dataclass(frozen=True, kw_only=True, eq=False)
class LossParts:
    """The terms of the loss, unweighted, and their weighted sum.

    Attributes:
        total: Scalar that is minimised.
        lesion_dice: 1 - Dice of the lesion over the batch.
        lesion_entropy: Mean cross-entropy of the lesion.
        region_dice: 1 - mean Dice of the regions in the batch.
        region_entropy: Mean cross-entropy of the regions.
    """

    total: torch.Tensor
    lesion_dice: torch.Tensor
    lesion_entropy: torch.Tensor
    region_dice: torch.Tensor
    region_entropy: torch.Tensor


def segmentation_loss(
    logits: torch.Tensor,
    lesion: torch.Tensor,
    regions: torch.Tensor,
    settings: LossSettings,
    *,
    phase: int = 0,
    progress: float = 1.0,
) -> LossParts:
    """Return the loss of a batch.

    Args:
        logits: float `(n, 1 + regions, i, j, k)`.
        lesion: uint8 `(n, i, j, k)`: 1 in a lesion, 2 (`IGNORED`) where the answer does not matter.
        regions: uint8 `(n, i, j, k)`.
        settings: Weights.
        progress: How much of the run is over, 0 to 1; decides how much lesions weigh.
        phase: Which of the `region_stride ** 3` sets of cells the regions are compared on.
    """
    counts = lesion != IGNORED
    lesion_logit, target = logits[:, LESION_CHANNEL].float(), (lesion == 1).float()
    lesion_dice = 1 - _dice(torch.sigmoid(lesion_logit) * counts, target, dims=(0, 1, 2, 3))
    lesion_entropy = _lesion_entropy(lesion_logit, target, counts, regions > 0, settings)
    region_logits = _some_cells(logits[:, REGION_CHANNEL_SLICE], settings.region_stride, phase)
    target_regions = _some_cells(regions[:, None], settings.region_stride, phase)[:, 0]
    region_dice, region_entropy = _region_terms(region_logits.float(), target_regions.long())
    lesion_share = lesion_weight(progress, settings)
    total = (
        lesion_share * (settings.lesion_dice * lesion_dice + settings.lesion_entropy * lesion_entropy)
        + settings.region_dice * region_dice
        + settings.region_entropy * region_entropy
    )
    return LossParts(
        total=total,
        lesion_dice=lesion_dice,
        lesion_entropy=lesion_entropy,
        region_dice=region_dice,
        region_entropy=region_entropy,
    )


def lesion_weight(progress: float, settings: LossSettings) -> float:
    """Return the share of the lesion terms' weight at a fraction of the run, from 0.2 to 1.

    Example:
        >>> lesion_weight(0.0, LossSettings()), lesion_weight(1.0, LossSettings())
        (0.2, 1.0)
    """
    risen = min(progress / settings.lesion_ramp, 1.0) if settings.lesion_ramp > 0 else 1.0
    return LESION_START + (1.0 - LESION_START) * risen


def _lesion_entropy(
    logit: torch.Tensor,
    target: torch.Tensor,
    counts: torch.Tensor,
    skeleton: torch.Tensor,
    settings: LossSettings,
) -> torch.Tensor:
    """Return the mean cross-entropy of lesion voxels, of other bone, of all else, and of the most wrong.

    One voxel in ten thousand is lesion. With a mean of its own, a batch with one small lesion pulls as hard
    as one with a large lesion; with a mean of its own, normal bone teaches what a lesion differs from. (The
    hardest voxels alone taught nothing: early on they are arbitrary.)
    """
    entropy = functional.binary_cross_entropy_with_logits(logit, target, reduction="none")
    other = (1 - target) * counts
    inside, bone, elsewhere = (_mean_over(entropy, m) for m in (target, other * skeleton, other * ~skeleton))
    hardest = max(1, int(settings.hard_fraction * entropy.numel()))
    hard_mean = (entropy * other).flatten().topk(hardest, sorted=False).values.mean()
    return (
        settings.positive_weight * inside
        + settings.bone_weight * bone
        + elsewhere
        + settings.hard_weight * hard_mean
    )


def _mean_over(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return the mean of values where the mask is 1, 0 where it nowhere is."""
    return (values * mask).sum() / mask.sum().clamp(min=1)


def _some_cells(volume: torch.Tensor, stride: int, phase: int) -> torch.Tensor:
    """Return the voxels `(n, c, voxels)` of every n-th cell per axis of a volume `(n, c, i, j, k)`.

    A cell is what one voxel of the network's half-resolution body becomes. Cells are taken whole: each of
    their eight voxels has weights of its own in the head, which then learn in every step.
    """
    n, c, *sides = volume.shape
    split = [part for side in sides for part in (side // STEM_STRIDE, STEM_STRIDE)]
    cells = volume.reshape(n, c, *split)
    i, j, k = (slice(phase // stride**axis % stride, None, stride) for axis in range(3))
    return cells[:, :, i, :, j, :, k].reshape(n, c, -1)


def _region_terms(logits: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return 1 - Dice over the regions that are in the batch (background left out), and cross-entropy.

    Args:
        logits: float `(n, regions, voxels)`.
        target: int64 `(n, voxels)`.
    """
    log_probability = functional.log_softmax(logits, dim=1)
    entropy = functional.nll_loss(log_probability, target)
    one_hot = functional.one_hot(target, logits.shape[1]).movedim(-1, 1).float()
    dice = _dice(log_probability.exp(), one_hot, dims=(0, 2))[1:]
    is_there = one_hot.sum(dim=(0, 2))[1:] > 0
    mean = (dice * is_there).sum() / is_there.sum().clamp(min=1)
    return torch.where(is_there.any(), 1 - mean, torch.zeros_like(mean)), entropy


def _dice(probability: torch.Tensor, target: torch.Tensor, dims: tuple[int, ...]) -> torch.Tensor:
    overlap = (probability * target).sum(dim=dims)
    sizes = probability.sum(dim=dims) + target.sum(dim=dims)
    return (2 * overlap + SMOOTH_VOXELS) / (sizes + SMOOTH_VOXELS)
