"""What the network is told: Dice and cross-entropy for lesions and for regions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional

from marrowmap.data.skeleton import UNLABELLED
from marrowmap.models.unet import STEM_STRIDE
from marrowmap.training.config import LossSettings

#: Added to both sides of a Dice ratio, in voxels: a patch without lesion must not divide by zero,
#: and one false voxel in it must not cost everything.
SMOOTH_VOXELS = 10.0

#: Lesion label of voxels that are neither right nor wrong: nodules below the size that counts.
IGNORED = 2

#: The lesion entropy's sum is divided by this fraction of the voxels, whatever they are.
ENTROPY_SHARE = 0.05
#: Voxels of one cell of the network's half-resolution body.
CELL_VOXELS = STEM_STRIDE**3
#: How much more a coarse cell counts that is skeleton, and the levels' weights, finest first.
COARSE_SKELETON_WEIGHT, COARSE_WEIGHTS = 10.0, (0.5, 0.25, 0.125)

#: Turns sums over this process's patches into sums over all that are learned from in one step.
Pooling = Callable[..., tuple[torch.Tensor, ...]]


def own_patches(*sums: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Return the sums as they are: this process has all the patches."""
    return sums


@dataclass(frozen=True, kw_only=True, eq=False)
class LossParts:
    """The terms of the loss, unweighted, and their weighted sum.

    Attributes:
        total: Scalar that is minimised.
        lesion_dice: 1 - Dice of the lesion over the batch.
        lesion_entropy: Mean cross-entropy of the lesion.
        region_dice: 1 - mean Dice of the regions in the batch.
        region_entropy: Mean cross-entropy of the regions.
        coarse_entropy: Weighted cross-entropy of the regions at coarser levels.
    """

    total: torch.Tensor
    lesion_dice: torch.Tensor
    lesion_entropy: torch.Tensor
    region_dice: torch.Tensor
    region_entropy: torch.Tensor
    coarse_entropy: torch.Tensor


def segmentation_loss(
    cells: torch.Tensor,
    lesion: torch.Tensor,
    regions: torch.Tensor,
    settings: LossSettings,
    *,
    coarse: Sequence[torch.Tensor] = (),
    lesion_weight: torch.Tensor | None = None,
    phase: int = 0,
    progress: float = 1.0,
    pooled: Pooling = own_patches,
) -> LossParts:
    """Return the loss of a batch.

    Args:
        cells: float `(n, (1 + regions) * 8, i / 2, j / 2, k / 2)`, logits of `MarrowUNet.cells_and_coarse`.
        coarse: float `(n, regions, i / 2, j / 2, k / 2)` and coarser, the region logits of those levels.
        lesion: uint8 `(n, i, j, k)`: 1 in a lesion, 2 (`IGNORED`) where the answer does not matter.
        lesion_weight: float `(n, i, j, k)`, how much more a voxel of a lesion counts in the cross-entropy
            than `lesion_voxel_weight` says; None for no more.
        regions: uint8 `(n, i, j, k)`, `UNLABELLED` where nobody drew any.
        settings: Weights.
        progress: How much of the run is over, 0 to 1; decides how much the lesion Dice weighs.
        phase: Which of the `region_stride ** 3` sets of cells the regions are compared on.
        pooled: Sums over the patches of all processes. A Dice of all patches is not the mean of the Dice of
            each process's patches, so several processes must divide after the sum, not before.
    """
    lesion_cells, region_cells = as_cells(lesion[:, None]), as_cells(regions[:, None])
    counts = lesion_cells != IGNORED
    # One split: the gradient of two slices would fill and copy the whole volume twice.
    lesion_logits, all_regions = cells.split([CELL_VOXELS, cells.shape[1] - CELL_VOXELS], dim=1)
    lesion_logit, target = lesion_logits.float(), (lesion_cells == 1).float()
    lesion_dice = 1 - _dice(torch.sigmoid(lesion_logit) * counts, target, (0, 1, 2, 3, 4), pooled)
    skeleton = (region_cells > 0) & (region_cells != UNLABELLED)
    weighed = target if lesion_weight is None else target * as_cells(lesion_weight[:, None])
    lesion_entropy = _lesion_entropy(lesion_logit, target, weighed, counts, skeleton, settings)
    region_logits = _some_cells(all_regions, settings.region_stride, phase)
    target_regions = _some_cells(region_cells, settings.region_stride, phase)[:, 0]
    region_dice, region_entropy = _region_terms(*_labelled(region_logits.float(), target_regions), pooled)
    coarse_entropy = _coarse_entropy(coarse, region_cells, pooled)
    total = (
        dice_weight(progress, settings) * lesion_dice
        + settings.lesion_entropy * lesion_entropy
        + settings.region_dice * region_dice
        + settings.region_entropy * region_entropy
        + settings.coarse_entropy * coarse_entropy
    )
    return LossParts(
        total=total,
        lesion_dice=lesion_dice,
        lesion_entropy=lesion_entropy,
        region_dice=region_dice,
        region_entropy=region_entropy,
        coarse_entropy=coarse_entropy,
    )


def as_cells(volume: torch.Tensor) -> torch.Tensor:
    """Return a volume `(n, c, i, j, k)` as cells `(n, c * 8, i / 2, j / 2, k / 2)`, pixels unshuffled."""
    n, c, *sides = volume.shape
    split = [part for side in sides for part in (side // STEM_STRIDE, STEM_STRIDE)]
    cells = volume.reshape(n, c, *split).permute(0, 1, 3, 5, 7, 2, 4, 6)
    return cells.reshape(n, c * CELL_VOXELS, *cells.shape[-3:])


def dice_weight(progress: float, settings: LossSettings) -> float:
    """Return the weight of the lesion Dice at a fraction of the run, from 0 to its whole.

    Example:
        >>> settings = LossSettings(lesion_dice=1.0, dice_ramp=0.2)
        >>> dice_weight(0.0, settings), dice_weight(0.1, settings), dice_weight(1.0, settings)
        (0.0, 0.5, 1.0)
    """
    risen = min(progress / settings.dice_ramp, 1.0) if settings.dice_ramp > 0 else 1.0
    return settings.lesion_dice * risen


def _lesion_entropy(
    logit: torch.Tensor,
    target: torch.Tensor,
    weighed: torch.Tensor,
    counts: torch.Tensor,
    skeleton: torch.Tensor,
    settings: LossSettings,
) -> torch.Tensor:
    """Return the cross-entropy of all voxels, those of lesions and of other bone counting more.

    `weighed` is the target, small lesions' voxels counting more than 1.

    Every voxel's weight is fixed. With a mean of its own for lesion voxels (so that a batch with one small
    lesion pulled as hard as one with a large one), batches with and without lesion pulled the network to and
    fro: after 130 steps its best F1 within bone was 0.05 against 0.32 with fixed weights.
    """
    entropy = functional.binary_cross_entropy_with_logits(logit, target, reduction="none")
    weight = 1 + settings.lesion_voxel_weight * weighed + settings.bone_voxel_weight * (1 - target) * skeleton
    return (entropy * weight * counts).sum() / (ENTROPY_SHARE * entropy.numel())


def _coarse_entropy(
    coarse: Sequence[torch.Tensor], region_cells: torch.Tensor, pooled: Pooling
) -> torch.Tensor:
    """Return the cross-entropy of coarse region logits with each cell's mixture of regions."""
    total = torch.zeros((), device=region_cells.device)
    if not coarse:
        return total
    labels = range(coarse[0].shape[1])
    share = torch.stack([(region_cells == label).float().mean(dim=1) for label in labels], dim=1)
    for logits, weight in zip(coarse, COARSE_WEIGHTS, strict=False):
        share = functional.avg_pool3d(share, share.shape[-1] // logits.shape[-1])
        entropy = -(share * functional.log_softmax(logits.float(), dim=1)).sum(dim=1)
        # A cell of which nobody drew anything has no share at all: it counts as much as was drawn of it.
        counted = (1 + COARSE_SKELETON_WEIGHT * (1 - share[:, 0])) * share.sum(dim=1)
        weighted, weights = pooled((entropy * counted).sum(), counted.sum())
        total = total + weight * weighted / weights.clamp(min=1e-6)
    return total


def _labelled(logits: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return logits and int64 target of the voxels whose region was drawn, all of them where all were.

    Args:
        logits: float `(n, regions, voxels)`.
        target: uint8 `(n, voxels)`.
    """
    is_labelled = target != UNLABELLED
    if bool(is_labelled.all()):
        return logits, target.long()
    return logits.movedim(1, -1)[is_labelled].T[None], target[is_labelled].long()[None]


def _some_cells(cells: torch.Tensor, stride: int, phase: int) -> torch.Tensor:
    """Return the voxels `(n, c, voxels)` of every n-th cell per axis of cells `(n, c * 8, i, j, k)`.

    Cells are taken whole: each of their eight voxels has weights of its own in the head, which then learn
    in every step.
    """
    i, j, k = (slice(phase // stride**axis % stride, None, stride) for axis in range(3))
    some = cells[:, :, i, j, k]
    return some.reshape(some.shape[0], some.shape[1] // CELL_VOXELS, -1)


def _region_terms(
    logits: torch.Tensor, target: torch.Tensor, pooled: Pooling
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return 1 - Dice over the regions that are in the batch (background left out), and cross-entropy.

    Args:
        logits: float `(n, regions, voxels)`.
        target: int64 `(n, voxels)`.
        pooled: Sums over the patches of all processes.
    """
    log_probability = functional.log_softmax(logits, dim=1)
    # Summed over all processes even where none of this one's regions was drawn: the others wait for it.
    summed = functional.nll_loss(log_probability, target, reduction="sum")
    summed, drawn = pooled(summed, summed.new_tensor(float(target.numel())))
    entropy = summed / drawn.clamp(min=1)
    one_hot = functional.one_hot(target, logits.shape[1]).movedim(-1, 1).float()
    dice = _dice(log_probability.exp(), one_hot, (0, 2), pooled)[1:]
    (voxels,) = pooled(one_hot.sum(dim=(0, 2)))
    is_there = voxels[1:] > 0
    mean = (dice * is_there).sum() / is_there.sum().clamp(min=1)
    return torch.where(is_there.any(), 1 - mean, torch.zeros_like(mean)), entropy


def _dice(
    probability: torch.Tensor, target: torch.Tensor, dims: tuple[int, ...], pooled: Pooling
) -> torch.Tensor:
    overlap, sizes = pooled(
        (probability * target).sum(dim=dims), probability.sum(dim=dims) + target.sum(dim=dims)
    )
    return (2 * overlap + SMOOTH_VOXELS) / (sizes + SMOOTH_VOXELS)
