"""The network's shape and what its settings refuse."""

import pytest
import torch

from marrowmap.data.errors import SettingsError
from marrowmap.models.unet import LESION_CHANNEL, UNetSettings, build_unet


def test_the_network_answers_ten_channels_of_the_patch_it_is_given() -> None:
    network = build_unet(UNetSettings(features=(8, 16, 16)))
    assert network(torch.zeros(1, 5, 16, 16, 24)).shape == (1, 10, 16, 16, 24)


def test_a_new_network_expects_a_lesion_in_about_one_voxel_of_a_hundred() -> None:
    torch.manual_seed(0)
    network = build_unet(UNetSettings(features=(8, 16, 16))).eval()
    with torch.no_grad():
        probability = torch.sigmoid(network(torch.zeros(1, 5, 16, 16, 16))[:, LESION_CHANNEL])
    assert float(probability.mean()) == pytest.approx(0.01, abs=0.015)


def test_a_single_bright_voxel_can_be_told_from_its_neighbour() -> None:
    torch.manual_seed(0)
    network = build_unet(UNetSettings(features=(8, 16, 16))).eval()
    first, second = torch.zeros(1, 5, 16, 16, 16), torch.zeros(1, 5, 16, 16, 16)
    first[0, 0, 8, 8, 8], second[0, 0, 9, 8, 8] = 5.0, 5.0  # two voxels of one half-resolution cell
    with torch.no_grad():
        difference = (network(first) - network(second)).abs().max()
    assert float(difference) > 1e-3


def test_coarse_regions_come_from_three_levels_and_reach_the_answer() -> None:
    torch.manual_seed(0)
    network = build_unet(UNetSettings(features=(8, 16, 16, 16))).eval()
    with torch.no_grad():
        image = torch.rand(1, 5, 16, 16, 32)
        before, (_, coarse) = network(image), network.cells_and_coarse(image)
        assert [tuple(c.shape[1:]) for c in coarse] == [(9, 8, 8, 16), (9, 4, 4, 8), (9, 2, 2, 4)]
        head = network.coarse_heads[2]
        assert isinstance(head, torch.nn.Conv3d)
        assert head.bias is not None
        head.bias[4] += 3.0
        after = network(image)
    assert float((after - before)[:, 1 + 4].mean()) == pytest.approx(3.0, abs=0.5)


def test_in_bfloat16_the_answer_stays_near_that_of_float32() -> None:
    torch.manual_seed(0)
    network = build_unet(UNetSettings(features=(8, 16, 16))).eval()
    image = torch.rand(1, 5, 16, 16, 16)
    with torch.no_grad():
        exact = network(image)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rounded = network(image).float()
    assert not torch.equal(exact, rounded)
    assert float((exact - rounded).abs().max()) < 0.2


def test_the_deepest_voxel_of_the_default_network_sees_the_whole_patch() -> None:
    assert UNetSettings().patch_multiple == 32


@pytest.mark.parametrize("norm", ["instance", "batch", "group"])
def test_every_norm_trains(norm: str) -> None:
    network = build_unet(UNetSettings(features=(8, 16, 16), norm=norm))  # type: ignore[arg-type]
    network(torch.randn(2, 5, 16, 16, 16)).mean().backward()
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)


def test_two_levels_are_refused() -> None:
    with pytest.raises(SettingsError, match="three levels or more"):
        UNetSettings(features=(16, 32))


def test_an_empty_level_is_refused() -> None:
    with pytest.raises(SettingsError, match="positive numbers"):
        UNetSettings(features=(16, 0, 32))
