"""The network: a MONAI U-Net that works at half resolution, and what its output channels mean.

Channel 0 is the lesion logit (sigmoid: one lesion or not, whatever the bone); channels 1 to 9 are
the region logits (softmax: background first, then `Region` in order).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from monai.networks.nets.dynunet import DynUNet
from monai.networks.utils import pixelshuffle

from marrowmap.data.errors import SettingsError
from marrowmap.data.skeleton import REGION_CHANNELS

LESION_CHANNEL = 0
REGION_CHANNEL_SLICE = slice(1, 1 + REGION_CHANNELS)

#: Each output voxel of the half-resolution body becomes 2 x 2 x 2 voxels.
STEM_STRIDE = 2
#: Share of voxels in lesion that a new network expects.
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
    """Strided stem, DynUNet at half resolution, sub-pixel head.

    Most of a U-Net's time goes into its finest level. Here that level has one eighth of the
    voxels, and the head predicts the eight voxels of each cell apart, so that lesions of two
    to four voxels keep their shape.
    """

    def __init__(self, settings: UNetSettings) -> None:
        """Build the layers of the settings."""
        super().__init__()
        levels = len(settings.features)
        outputs = 1 + settings.regions
        self.settings = settings
        self.stem = torch.nn.Conv3d(
            settings.channels_in, settings.features[0], kernel_size=4, stride=STEM_STRIDE, padding=1
        )
        self.body = DynUNet(
            spatial_dims=3,
            in_channels=settings.features[0],
            out_channels=outputs * STEM_STRIDE**3,
            kernel_size=[3] * levels,
            strides=[1] + [2] * (levels - 1),
            upsample_kernel_size=[2] * (levels - 1),
            filters=list(settings.features),
            norm_name=_norm(settings),
        )
        self._reset_body()
        self.body.output_block.conv.conv = self._new_head(outputs)

    def _reset_body(self) -> None:
        """Give the convolutions torch's own start: with DynUNet's, learning took a tenth longer."""
        for layer in self.body.modules():
            if isinstance(layer, torch.nn.Conv3d | torch.nn.ConvTranspose3d):
                layer.reset_parameters()

    def _new_head(self, outputs: int) -> torch.nn.Conv3d:
        """Return the output layer, 3 x 3 x 3.

        DynUNet's own (1 x 1 x 1) gives an output 16 weights: the optimiser moved it so slowly that it first
        went to "nothing anywhere", and the layers below got no gradient. On two patches this one reached in
        20 steps what that one had not reached in 60, for 15 % more time a step.
        """
        head = torch.nn.Conv3d(self.settings.features[0], outputs * STEM_STRIDE**3, kernel_size=3, padding=1)
        assert head.bias is not None
        with torch.no_grad():
            # Lesions are rare: an even start would spend the first hundreds of steps on saying so.
            head.bias[: STEM_STRIDE**3] = math.log(LESION_PRIOR / (1 - LESION_PRIOR))
            # Most of a body is no skeleton: the background starts ahead of the regions.
            head.bias[STEM_STRIDE**3 : 2 * STEM_STRIDE**3] = BACKGROUND_START
        return head

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the logits of a batch of patches.

        Args:
            image: float `(n, channels_in, i, j, k)`, each side a multiple of `patch_multiple`.

        Returns:
            float `(n, 1 + regions, i, j, k)`: the lesion logit, then the region logits.
        """
        return pixelshuffle(self.body(self.stem(image)), spatial_dims=3, scale_factor=STEM_STRIDE)


def build_unet(settings: UNetSettings) -> MarrowUNet:
    """Return a new network with random weights.

    Example:
        >>> network = build_unet(UNetSettings(features=(8, 16, 16)))
        >>> tuple(network(torch.zeros(1, 5, 16, 16, 24)).shape)
        (1, 10, 16, 16, 24)
    """
    return MarrowUNet(settings)


def _norm(settings: UNetSettings) -> tuple[str, dict[str, int | bool]]:
    if settings.norm == "group":
        return "group", {"num_groups": 8, "affine": True}
    return settings.norm, {"affine": True}
