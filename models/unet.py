"""The network: a MONAI U-Net that works at half resolution, and what its output channels mean.

Channel 0 is the lesion logit (sigmoid: one lesion or not, whatever the bone); channels 1 to 9 are
the region logits (softmax: background first, then `Region` in order).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from monai.networks.blocks.dynunet_block import UnetBasicBlock, UnetUpBlock
from monai.networks.utils import pixelshuffle
from torch.nn import functional

from marrowmap.data.errors import SettingsError
from marrowmap.data.skeleton import REGION_CHANNELS

LESION_CHANNEL = 0
REGION_CHANNEL_SLICE = slice(1, 1 + REGION_CHANNELS)

#: Each output voxel of the half-resolution body becomes 2 x 2 x 2 voxels.
STEM_STRIDE = 2
#: Features of the path that sees a cell's own values, and the slope of its activations below zero.
VALUE_FEATURES, SLOPE = 64, 0.1
#: Levels at which regions are answered and taught.
COARSE_LEVELS = 3
#: Logit of "no skeleton" and share of voxels in lesion that a new network expects.
BACKGROUND_START = 4.0
LESION_PRIOR = 0.01


@dataclass(frozen=True, kw_only=True)
class UNetSettings:
    """Shape of the network.

    Attributes:
        channels_in: Input channels, as in `marrowmap.data.model_input.CHANNELS`.
        regions: Region channels, background included.
        features: Channels from half resolution downward. Multiples of 16 fill the CPU's vector
            units; five levels let the deepest voxel see the whole patch, which is what tells a
            thoracic from a lumbar vertebra.
        norm: `instance` is independent of the batch; `batch` folds into the convolutions.
    """

    channels_in: int = 5
    regions: int = REGION_CHANNELS
    features: tuple[int, ...] = (16, 32, 64, 128, 160)
    norm: Literal["instance", "batch", "group"] = "instance"

    def __post_init__(self) -> None:
        """Refuse a shape that cannot be built.

        Raises:
            SettingsError: If a number of channels is not positive or there are fewer than three levels.
        """
        if len(self.features) < 3:
            raise SettingsError(f"features needs three levels or more, found {self.features}; add a level")
        if min(self.channels_in, self.regions, *self.features) < 1:
            raise SettingsError(
                "channels_in, regions and features need positive numbers; correct the settings"
            )

    @property
    def patch_multiple(self) -> int:
        """Every side of a patch must be a multiple of this many voxels."""
        return STEM_STRIDE * 2 ** (len(self.features) - 1)


class MarrowUNet(torch.nn.Module):
    """Strided stem, MONAI's U-Net blocks at half resolution, sub-pixel head, and two short paths.

    Most of a U-Net's time goes into its finest level. Here that level has one eighth of the
    voxels, and the head predicts the eight voxels of each cell apart, so that lesions of two
    to four voxels keep their shape.

    The value path: normalisation in the body takes away what ADC and fat fraction mean as numbers; two layers
    that see the cell's own voxels beside the body's features bring it back. The coarse path: regions are
    answered at the three finest levels, each adding to the one below, and each is taught. On the same patches
    the two together knew half the skeleton's regions after 260 steps, where the body alone knew a third
    after 430.
    """

    def __init__(self, settings: UNetSettings) -> None:
        """Build the layers of the settings."""
        super().__init__()
        features, cell = settings.features, STEM_STRIDE**3
        outputs = 1 + settings.regions
        self.settings = settings
        self.stem = torch.nn.Conv3d(
            settings.channels_in, features[0], kernel_size=4, stride=STEM_STRIDE, padding=1
        )
        self.encoder = torch.nn.ModuleList(
            UnetBasicBlock(3, before, after, kernel_size=3, stride=stride, norm_name=_norm(settings))
            for before, after, stride in _steps(features)
        )
        self.decoder = torch.nn.ModuleList(
            UnetUpBlock(
                3, deep, fine, kernel_size=3, stride=2, upsample_kernel_size=2, norm_name=_norm(settings)
            )
            for deep, fine in zip(features[:0:-1], features[-2::-1], strict=True)
        )
        self.values = torch.nn.Conv3d(
            settings.channels_in, VALUE_FEATURES, kernel_size=STEM_STRIDE, stride=STEM_STRIDE
        )
        self.mix = torch.nn.Conv3d(VALUE_FEATURES + features[0], VALUE_FEATURES, kernel_size=1)
        self.voxel_head = torch.nn.Conv3d(VALUE_FEATURES + settings.regions, outputs * cell, kernel_size=1)
        # 3 x 3 x 3: with 1 x 1 x 1 an output has 16 weights, and the optimiser moved it too slowly.
        self.head = torch.nn.Conv3d(features[0], outputs * cell, kernel_size=3, padding=1)
        levels = min(COARSE_LEVELS, len(features) - 1)
        self.coarse_heads = torch.nn.ModuleList(
            torch.nn.Conv3d(f, settings.regions, kernel_size=1) for f in features[:levels]
        )
        self._start_heads(cell)

    def _start_heads(self, cell: int) -> None:
        assert self.head.bias is not None
        assert self.voxel_head.bias is not None
        with torch.no_grad():
            self.voxel_head.weight.mul_(0.3)
            self.voxel_head.bias.zero_()
            # Each voxel of a cell starts with the cell's own coarse answer.
            own = torch.eye(self.settings.regions).repeat_interleave(cell, dim=0)
            self.voxel_head.weight[:, VALUE_FEATURES:] = 0.0
            self.voxel_head.weight[cell:, VALUE_FEATURES:, 0, 0, 0] = own
            # Lesions are rare: an even start would spend the first hundreds of steps on saying so.
            self.head.bias[:cell] = math.log(LESION_PRIOR / (1 - LESION_PRIOR))
            # Most of a body is no skeleton: the background starts ahead of the regions.
            self.head.bias[cell : 2 * cell] = BACKGROUND_START

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the logits of a batch of patches.

        Args:
            image: float `(n, channels_in, i, j, k)`, each side a multiple of `patch_multiple`.

        Returns:
            float `(n, 1 + regions, i, j, k)`: the lesion logit, then the region logits.
        """
        cells, _ = self.cells_and_coarse(image)
        return pixelshuffle(cells, spatial_dims=3, scale_factor=STEM_STRIDE)

    def cells_and_coarse(self, image: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Return the logits cell by cell, and the region logits at half, quarter and eighth resolution.

        A loss needs no voxel in its place, and putting 80 channels there and back took a seventh of a step.

        Args:
            image: As for `forward`.

        Returns:
            float `(n, (1 + regions) * 8, i / 2, j / 2, k / 2)`: for each output channel the eight voxels of
            the cell, the last axis fastest; and float `(n, regions, i / 2, j / 2, k / 2)` and coarser.
        """
        levels = self._decoded(self.stem(image))
        coarse = [head(level) for head, level in zip(self.coarse_heads, levels, strict=False)]
        for n in range(len(coarse) - 2, -1, -1):
            finer = functional.interpolate(coarse[n + 1], scale_factor=2.0, mode="trilinear")
            coarse[n] = coarse[n] + finer
        mixed = torch.cat([functional.leaky_relu(self.values(image), SLOPE), levels[0]], dim=1)
        mixed = functional.leaky_relu(self.mix(mixed), SLOPE)
        return self.head(levels[0]) + self.voxel_head(torch.cat([mixed, coarse[0]], dim=1)), coarse

    def _decoded(self, image: torch.Tensor) -> list[torch.Tensor]:
        """Return the decoder's features, finest level first."""
        skips = []
        for block in list(self.encoder)[:-1]:
            image = block(image)
            skips.append(image)
        image = _in_float32(self.encoder[-1], image)
        levels = []
        for block, skip in zip(self.decoder, reversed(skips), strict=True):
            image = block(image, skip)
            levels.append(image)
        return levels[::-1]


def build_unet(settings: UNetSettings) -> MarrowUNet:
    """Return a new network with random weights.

    Example:
        >>> network = build_unet(UNetSettings(features=(8, 16, 16)))
        >>> tuple(network(torch.zeros(1, 5, 16, 16, 24)).shape)
        (1, 10, 16, 16, 24)
    """
    return MarrowUNet(settings)


def _steps(features: tuple[int, ...]) -> list[tuple[int, int, int]]:
    """Return channels before, channels after and stride of every block of the encoder."""
    down = [(before, after, 2) for before, after in pairwise(features)]
    return [(features[0], features[0], 1), *down]


def _in_float32(block: torch.nn.Module, image: torch.Tensor) -> torch.Tensor:
    """Run a block outside CPU autocast.

    The deepest level has a handful of voxels; oneDNN's bfloat16 gradient of its weights was now and then not
    a number. It costs next to nothing there.
    """
    if image.device.type != "cpu" or not torch.is_autocast_enabled("cpu"):
        return block(image)
    with torch.autocast("cpu", enabled=False):
        return block(image.float())


def _norm(settings: UNetSettings) -> tuple[str, dict[str, int | bool]]:
    if settings.norm == "group":
        return "group", {"num_groups": 8, "affine": True}
    return settings.norm, {"affine": True}
