"""Receiver noise and coil sensitivity, made cheaply."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Volume32 = npt.NDArray[np.float32]
_POOL = 1 << 21


@dataclass(frozen=True, kw_only=True)
class NoisePool:
    """Normal deviates drawn once and read from a random place for every plane.

    Drawing tens of millions of deviates would cost more than the rest of the exam.

    Attributes:
        deviates: float32 `(n,)`, standard normal.
    """

    deviates: npt.NDArray[np.float32]

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> NoisePool:
        """Return a pool of two million deviates."""
        return cls(deviates=rng.standard_normal(_POOL, dtype=np.float32))

    def rician(
        self, signal: Volume32, sigma: float, rng: np.random.Generator, *, averages: int = 1
    ) -> Volume32:
        """Return the magnitude of a signal with complex noise.

        Args:
            signal: float32 `(a, b, c)`, signed; it is overwritten.
            sigma: Standard deviation of each of the two noise channels after averaging.
            rng: Chooses where in the pool each plane reads.
            averages: How many magnitude images are averaged. Each is noisier by the root of their number, so
                the floor that signal cannot sink below rises by that root.

        Returns:
            float32 `(a, b, c)`, positive; its mean in air is 1.25 sigma times the root of `averages`.
        """
        plane = signal.shape[1] * signal.shape[2]
        starts = rng.integers(0, max(len(self.deviates) - plane, 1), (signal.shape[0], averages, 2))
        scaled = self.deviates * np.float32(sigma * np.sqrt(averages))
        squared = np.square(scaled)
        for image, places in zip(signal, starts, strict=True):
            clean = image if averages == 1 else image.copy()
            total = image
            for number, (real, imaginary) in enumerate(places):
                one = total if number == 0 else clean.copy()
                one += self._plane(scaled, real, image.shape)
                np.square(one, out=one)
                one += self._plane(squared, imaginary, image.shape)
                np.sqrt(one, out=one)
                if number:
                    total += one
            if averages > 1:
                total *= np.float32(1 / averages)
        return signal

    @staticmethod
    def _plane(deviates: npt.NDArray[np.float32], start: int, shape: tuple[int, ...]) -> Volume32:
        size = int(np.prod(shape))
        if size > len(deviates):
            return np.resize(deviates, shape)
        return deviates[start : start + size].reshape(shape)


def smooth_gain(
    shape: tuple[int, int, int], rng: np.random.Generator, *, gain_spread: float, bias_spread: float
) -> Volume32:
    """Return a station's receiver gain times its smooth coil sensitivity.

    Args:
        shape: Voxels of the station.
        rng: Source of randomness.
        gain_spread: Standard deviation of the logarithm of the gain.
        bias_spread: Standard deviation of the logarithm of the bias.

    Returns:
        float32 of `shape`, around 1.
    """
    nodes = rng.normal(0, bias_spread, (4, 4, 4)) + rng.normal(0, gain_spread)
    field = np.exp(nodes).astype(np.float32)
    for length in shape:
        field = np.tensordot(field, _smooth_steps(length), axes=(0, 1))
    return field


def _smooth_steps(length: int) -> npt.NDArray[np.float32]:
    """Return weights float32 `(length, 4)` that pass smoothly from each of four nodes to the next."""
    position = np.linspace(0, 3, length)
    left = np.minimum(position.astype(int), 2)
    along = position - left
    eased = along * along * (3 - 2 * along)
    weights = np.zeros((length, 4), dtype=np.float32)
    weights[np.arange(length), left] = 1 - eased
    weights[np.arange(length), left + 1] = eased
    return weights
