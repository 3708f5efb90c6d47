"""Cheap variation of a patch: numpy, in place, a few tens of milliseconds.

What the simulator or the scanner varies already (anatomy, disease, station gains) is not repeated here.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import numpy.typing as npt

from marrowmap.data.exam import Array3D, Sequence
from marrowmap.data.model_input import CHANNELS
from marrowmap.training.config import AugmentSettings
from marrowmap.training.patches import Patch

#: Channels without a unit: gain, exponent and bias may vary freely.
SIGNALS = tuple(CHANNELS.index(s) for s in (Sequence.DWI_HIGH, Sequence.T1, Sequence.STIR))
#: Sequences that an exam may lack; diffusion is required.
OPTIONAL = tuple(CHANNELS.index(s) for s in (Sequence.ADC, Sequence.T1, Sequence.STIR, Sequence.FAT_FRACTION))
ANATOMICAL = tuple(CHANNELS.index(s) for s in (Sequence.T1, Sequence.STIR, Sequence.FAT_FRACTION))
#: ADC is physical, but scanners differ by a few percent.
ADC_GAIN = 0.03
#: Signals are near [0, 2]; the exponent acts on this scale.
GAMMA_SCALE = 2.0
NOISE_BANK_SIZE = 1 << 20


def shifted_crops(channels: int, settings: AugmentSettings, rng: np.random.Generator) -> npt.NDArray[np.int_]:
    """Return each channel's displacement against the labels, int `(c, 3)`: 0, or one voxel where drawn.

    Diffusion and ADC come from one acquisition and the labels follow it: they stay.
    """
    shifts = np.zeros((channels, 3), dtype=np.int_)
    for channel in ANATOMICAL:
        if channel < channels and rng.random() < settings.shift:
            shifts[channel] = rng.integers(-1, 2, size=3)
    return shifts


def augment(patch: Patch, settings: AugmentSettings, rng: np.random.Generator) -> Patch:
    """Return the patch varied; its arrays are changed or viewed, never copied whole.

    Args:
        patch: The patch, owned by the caller.
        settings: How much.
        rng: Decides everything.
    """
    image = patch.image
    if rng.random() < settings.intensity:
        vary_intensity(image, settings, rng)
    add_noise(image, settings.noise * rng.random() ** 2, rng)
    drop_channels(image, settings.drop_channel, rng)
    if rng.random() < settings.flip:
        return replace(patch, image=image[:, ::-1], lesions=patch.lesions[::-1], regions=patch.regions[::-1])
    return patch


def vary_intensity(
    image: npt.NDArray[np.float32], settings: AugmentSettings, rng: np.random.Generator
) -> None:
    """Vary gain, exponent and a smooth field of every signal channel, and the ADC's gain, in place."""
    for channel in SIGNALS:
        signal = image[channel]
        exponent = np.float32(np.exp(rng.normal(0.0, settings.gamma)))
        np.clip(signal, 0.0, None, out=signal)
        signal *= np.float32(1 / GAMMA_SCALE)
        np.power(signal, exponent, out=signal)
        signal *= np.float32(GAMMA_SCALE * np.exp(rng.normal(0.0, settings.gain)))
        signal *= bias_field(signal.shape, settings.bias * rng.random(), rng)
    image[CHANNELS.index(Sequence.ADC)] *= np.float32(np.exp(rng.normal(0.0, ADC_GAIN)))


def bias_field(shape: tuple[int, ...], strength: float, rng: np.random.Generator) -> Array3D:
    """Return a smooth positive field, the product of one slow wave an axis.

    Args:
        shape: `(i, j, k)`.
        strength: Largest absolute logarithm of the field.
        rng: Phase and length of the waves.
    """
    field = np.ones((1, 1, 1), dtype=np.float32)
    for axis, side in enumerate(shape):
        phase = rng.random() * 2 * np.pi + np.linspace(0.0, np.pi * rng.uniform(0.3, 1.2), side)
        wave = np.exp(strength / 3 * np.sin(phase)).astype(np.float32)
        field = field * wave.reshape([-1 if a == axis else 1 for a in range(3)])
    return field


def add_noise(image: npt.NDArray[np.float32], deviation: float, rng: np.random.Generator) -> None:
    """Add white noise to every channel that is there, in place.

    The noise is read from a bank at a random place: drawing two million normals would take longer
    than everything else here.
    """
    bank = _noise_bank()
    for channel in image:
        if not channel.any():
            continue
        flat = channel.reshape(-1)
        for start in range(0, flat.size, NOISE_BANK_SIZE // 2):
            piece = flat[start : start + NOISE_BANK_SIZE // 2]
            offset = int(rng.integers(NOISE_BANK_SIZE - piece.size))
            piece += np.float32(deviation) * bank[offset : offset + piece.size]


@cache
def _noise_bank() -> npt.NDArray[np.float32]:
    return np.random.default_rng(0).standard_normal(NOISE_BANK_SIZE, dtype=np.float32)


def drop_channels(image: npt.NDArray[np.float32], probability: float, rng: np.random.Generator) -> None:
    """Zero each optional channel with this probability, but never the last anatomical one, in place."""
    for channel in OPTIONAL:
        others = [c for c in ANATOMICAL if c != channel and image[c].any()]
        if rng.random() < probability and (channel not in ANATOMICAL or others):
            image[channel] = 0.0
