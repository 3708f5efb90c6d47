"""Contrast beyond physics, for training: a dial from what scanners do to what none ever did.

At 0 nothing changes. The more, the further every tissue's properties stray from its own and the more a random
monotone curve bends each sequence. Marrow and all that lies in it stray together, so that a lesion keeps
standing out of its marrow as it does in life; how strongly, and against which neighbours, is anybody's guess.

Source: Billot, Med Image Anal 2023;86:102789 (SynthSeg): a network that has seen every contrast needs none.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt

from marrowmap.data.errors import SettingsError
from marrowmap.data.simulate.tissue import TEXTURE_LEVELS, TEXTURE_STRIDE, TISSUE_ROWS, MaterialTable

Lookup = npt.NDArray[np.float32]

#: Spread of the logarithm at a dial of 1: of a tissue, and of the marrow family with its lesions as one.
_TISSUE_SPREAD, _MARROW_SPREAD = 0.6, 0.25
#: Properties keep to what any tissue could have.
_LIMITS = {
    "proton_density": (0.0, 1.3),
    "t1_ms": (150, 5000),
    "t2_ms": (8, 400),
    "adc_um2_per_s": (100, 3200),
}
_KNOTS = 6


@dataclass(frozen=True, kw_only=True)
class WildContrast:
    """How far contrasts stray in one exam.

    Attributes:
        wildness: 0 physical to 1 wild.
        rng: Source of randomness; not used at 0.
    """

    wildness: float
    rng: np.random.Generator

    def __post_init__(self) -> None:
        """Refuse a dial out of range.

        Raises:
            SettingsError: If it is not between 0 and 1.
        """
        if not 0 <= self.wildness <= 1:
            raise SettingsError(f"need a wildness of 0 (physical) to 1 (wild), found {self.wildness:g}")

    def strayed(self, table: MaterialTable) -> MaterialTable:
        """Return materials that strayed: each tissue on its own, all of marrow and lesions together."""
        if self.wildness == 0:
            return table
        strayed = {}
        for column in fields(table):
            if column.name not in _LIMITS:
                continue
            factor = np.full(len(table), np.exp(self._normal(_MARROW_SPREAD)), dtype=np.float32)
            tissues = np.exp(self._normal(_TISSUE_SPREAD, TEXTURE_STRIDE)).astype(np.float32)
            factor[:TISSUE_ROWS] = np.tile(tissues, TEXTURE_LEVELS)
            values = getattr(table, column.name)
            low, high = _LIMITS[column.name]
            inside = np.clip(values * factor, low, high).astype(np.float32)
            # Air, gas and metal stay without signal.
            strayed[column.name] = np.where(values == 0, values, inside)
        return replace(table, **strayed)

    def bent(self, lookup: Lookup) -> Lookup:
        """Return a sequence's signals bent by one random monotone curve; 0 stays 0 and the sign stays."""
        if self.wildness == 0:
            return lookup
        top = max(float(np.abs(lookup).max()), 1e-9)
        steps = np.exp(self._normal(0.8, _KNOTS))
        knots = np.concatenate([[0.0], np.cumsum(steps)]) / steps.sum()
        places = np.linspace(0, 1, _KNOTS + 1) ** 2  # most tissues lie low in the range
        straight = np.abs(lookup) / top
        bent = np.interp(straight, places, knots**2)
        mixed = (1 - self.wildness) * straight + self.wildness * bent
        return (np.sign(lookup) * mixed * top).astype(np.float32)

    def _normal(self, spread: float, count: int | None = None) -> npt.NDArray[np.float64]:
        return np.asarray(self.rng.normal(0, spread * self.wildness, count))
