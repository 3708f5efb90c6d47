"""Losses at their ends: right, wrong, empty."""

import pytest
import torch
from monai.networks.utils import pixelshuffle

from marrowmap.training.config import LossSettings
from marrowmap.training.losses import LossParts, as_cells, dice_weight, segmentation_loss


def truth() -> tuple[torch.Tensor, torch.Tensor]:
    lesion = torch.zeros(2, 8, 8, 8, dtype=torch.uint8)
    lesion[0, 2:6, 2:6, 2:6] = 1
    regions = torch.zeros(2, 8, 8, 8, dtype=torch.uint8)
    regions[:, :4] = 3
    return lesion, regions


def logits_of(lesion: torch.Tensor, regions: torch.Tensor) -> torch.Tensor:
    """Return logits that say a lesion mask and a region map with certainty."""
    one_hot = torch.nn.functional.one_hot(regions.long(), 9).movedim(-1, 1).float()
    return torch.cat([lesion[:, None].float() * 2 - 1, one_hot * 2 - 1], dim=1) * 20


def loss_of(logits: torch.Tensor, lesion: torch.Tensor, regions: torch.Tensor) -> LossParts:
    return segmentation_loss(as_cells(logits), lesion, regions, LossSettings())


def test_a_right_answer_costs_nothing() -> None:
    lesion, regions = truth()
    assert float(loss_of(logits_of(lesion, regions), lesion, regions).total) < 1e-3


def test_a_missed_lesion_costs_more_than_one_found() -> None:
    lesion, regions = truth()
    missed = loss_of(logits_of(torch.zeros_like(lesion), regions), lesion, regions)
    assert float(missed.lesion_dice) > 0.8
    assert float(missed.region_dice) < 1e-3


def test_the_wrong_region_costs_region_loss_only() -> None:
    lesion, regions = truth()
    wrong = torch.where(regions == 3, 4, 0)
    parts = loss_of(logits_of(lesion, wrong), lesion, regions)
    assert float(parts.lesion_dice) < 1e-3
    assert float(parts.region_dice) > 0.5


def test_a_lesion_voxel_pulls_as_hard_whatever_the_lesion_and_bone_harder_than_the_rest() -> None:
    small, large = torch.zeros(1, 8, 8, 8, dtype=torch.uint8), torch.zeros(1, 8, 8, 8, dtype=torch.uint8)
    small[0, 4, 4, 4] = 1
    large[0, 2:6, 2:6, 2:6] = 1
    regions = torch.zeros(1, 8, 8, 8, dtype=torch.uint8)
    regions[:, :, :, 4:] = 3
    pulls = []
    for lesion in (small, large):
        logits = torch.zeros(1, 10, 8, 8, 8, requires_grad=True)
        loss_of(logits, lesion, regions).lesion_entropy.backward()
        assert logits.grad is not None
        gradient = logits.grad[0, 0]
        pulls.append([float(gradient[4, 4, 4]), float(gradient[7, 7, 7]), float(gradient[7, 7, 0])])
    voxel = 0.5 / (0.05 * 512)  # the slope at probability 0.5, over a twentieth of the voxels
    assert pulls[0] == pytest.approx(pulls[1])
    assert pulls[0] == pytest.approx([-31 * voxel, 5 * voxel, voxel], rel=1e-5)


def test_ignored_voxels_do_not_pull() -> None:
    lesion, regions = truth()
    lesion[0, 6, 6, 6] = 2
    logits = torch.zeros(2, 10, 8, 8, 8, requires_grad=True)
    parts = loss_of(logits, lesion, regions)
    (parts.lesion_entropy + parts.lesion_dice).backward()
    assert logits.grad is not None
    assert float(logits.grad[0, 0, 6, 6, 6]) == 0.0
    assert float(logits.grad[0, 0, 7, 7, 7]) != 0.0


def test_the_lesion_dice_weighs_nothing_at_first_and_its_whole_after_the_ramp() -> None:
    settings = LossSettings(lesion_dice=0.8, dice_ramp=0.2)
    assert dice_weight(0.0, settings) == 0.0
    assert dice_weight(0.1, settings) == pytest.approx(0.4)
    assert dice_weight(0.5, settings) == pytest.approx(0.8)
    assert dice_weight(0.0, LossSettings(dice_ramp=0.0)) == 1.0


def coarse_answer(regions: torch.Tensor, cell: int) -> torch.Tensor:
    one_hot = torch.nn.functional.one_hot(regions[:, ::cell, ::cell, ::cell].long(), 9).movedim(-1, 1)
    return (one_hot.float() * 2 - 1) * 20


def test_coarse_answers_are_held_to_what_lies_in_their_cells() -> None:
    lesion, regions = truth()
    cells = as_cells(logits_of(lesion, regions))
    right = [coarse_answer(regions, 2), coarse_answer(regions, 4)]
    wrong = [coarse_answer(regions, 2), coarse_answer(torch.where(regions == 3, 4, 0), 4)]
    good, bad = (segmentation_loss(cells, lesion, regions, LossSettings(), coarse=c) for c in (right, wrong))
    assert float(good.coarse_entropy) < 1e-3
    # Only the second level is wrong; it weighs a quarter, and logits 40 apart cost 40.
    assert 5.0 < float(bad.coarse_entropy) <= 10.0
    assert float(bad.total - good.total) == pytest.approx(float(bad.coarse_entropy - good.coarse_entropy))


def test_an_empty_batch_with_an_empty_answer_costs_nothing() -> None:
    empty = torch.zeros(1, 8, 8, 8, dtype=torch.uint8)
    assert float(loss_of(logits_of(empty, empty), empty, empty).total) < 1e-3


def test_an_empty_batch_gives_finite_gradients() -> None:
    empty = torch.zeros(1, 8, 8, 8, dtype=torch.uint8)
    logits = torch.randn(1, 10, 8, 8, 8, requires_grad=True)
    loss_of(logits, empty, empty).total.backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_cells_are_what_a_pixel_shuffle_puts_in_place() -> None:
    volume = torch.rand(2, 3, 4, 6, 8)
    assert torch.equal(pixelshuffle(as_cells(volume), spatial_dims=3, scale_factor=2), volume)


def test_every_voxel_of_the_regions_is_compared_in_eight_steps() -> None:
    lesion, regions = truth()
    logits = torch.zeros(2, 10, 8, 8, 8, requires_grad=True)
    for phase in range(8):
        segmentation_loss(
            as_cells(logits), lesion, regions, LossSettings(), phase=phase
        ).region_entropy.backward()
    assert logits.grad is not None
    assert (logits.grad[:, 1:].abs().sum(dim=1) > 0).all()


def test_the_weight_of_a_lesion_scales_its_pull_and_nothing_else() -> None:
    lesion, regions = truth()
    weight = torch.ones(lesion.shape)
    weight[lesion == 1] = 3.0
    pulls = []
    for lesion_weight in (None, weight):
        logits = torch.zeros(2, 10, 8, 8, 8, requires_grad=True)
        segmentation_loss(
            as_cells(logits), lesion, regions, LossSettings(), lesion_weight=lesion_weight
        ).lesion_entropy.backward()
        assert logits.grad is not None
        pulls.append(logits.grad[:, 0])
    plain, weighted = pulls
    settings = LossSettings()
    ratio = (1 + 3 * settings.lesion_voxel_weight) / (1 + settings.lesion_voxel_weight)
    assert torch.allclose(weighted[lesion == 1], plain[lesion == 1] * ratio)
    assert torch.equal(weighted[lesion == 0], plain[lesion == 0])
