"""Losses at their ends: right, wrong, empty."""

import pytest
import torch

from marrowmap.training.config import LossSettings
from marrowmap.training.losses import LossParts, lesion_weight, segmentation_loss


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
    return segmentation_loss(logits, lesion, regions, LossSettings())


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


def test_a_small_lesion_pulls_as_hard_as_a_large_one() -> None:
    small, large = torch.zeros(1, 8, 8, 8, dtype=torch.uint8), torch.zeros(1, 8, 8, 8, dtype=torch.uint8)
    small[0, 4, 4, 4] = 1
    large[0, 2:6, 2:6, 2:6] = 1
    pulls = []
    for lesion in (small, large):
        logits = torch.zeros(1, 10, 8, 8, 8, requires_grad=True)
        loss_of(logits, lesion, torch.zeros_like(lesion)).lesion_entropy.backward()
        assert logits.grad is not None
        pulls.append(float(logits.grad[0, 0][lesion[0] == 1].sum()))
    # The mean over lesion voxels has a weight of 0.3 and, at probability 0.5, a slope of 0.5.
    assert pulls == pytest.approx([-0.15, -0.15], rel=1e-5)


def test_lesions_weigh_a_fifth_at_first_and_whole_after_the_ramp() -> None:
    settings = LossSettings(lesion_ramp=0.2)
    assert lesion_weight(0.0, settings) == 0.2
    assert lesion_weight(0.1, settings) == pytest.approx(0.6)
    assert lesion_weight(0.5, settings) == 1.0
    assert lesion_weight(0.0, LossSettings(lesion_ramp=0.0)) == 1.0


def test_an_empty_batch_with_an_empty_answer_costs_nothing() -> None:
    empty = torch.zeros(1, 8, 8, 8, dtype=torch.uint8)
    assert float(loss_of(logits_of(empty, empty), empty, empty).total) < 1e-3


def test_an_empty_batch_gives_finite_gradients() -> None:
    empty = torch.zeros(1, 8, 8, 8, dtype=torch.uint8)
    logits = torch.randn(1, 10, 8, 8, 8, requires_grad=True)
    loss_of(logits, empty, empty).total.backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_every_voxel_of_the_regions_is_compared_in_eight_steps() -> None:
    lesion, regions = truth()
    logits = torch.zeros(2, 10, 8, 8, 8, requires_grad=True)
    for phase in range(8):
        segmentation_loss(logits, lesion, regions, LossSettings(), phase=phase).region_entropy.backward()
    assert logits.grad is not None
    assert (logits.grad[:, 1:].abs().sum(dim=1) > 0).all()
