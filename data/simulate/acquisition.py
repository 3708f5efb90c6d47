"""One station of one sequence, as a scanner delivers it."""

from __future__ import annotations

from dataclasses import dataclass

from marrowmap.data.exam import Sequence, Volume
from marrowmap.data.simulate.signal import SignalSettings
from marrowmap.data.simulate.station import Orientation, Slab

_WORDS = {
    Sequence.T1: "T1 TSE",
    Sequence.T1_CONTRAST: "T1 TSE POST GD",
    Sequence.STIR: "STIR",
    Sequence.DIXON_IN: "DIXON IN",
    Sequence.DIXON_OUT: "DIXON OPP",
    Sequence.DIXON_FAT: "DIXON F",
    Sequence.DIXON_WATER: "DIXON W",
    Sequence.DWI_LOW: "DWI {fat} TRACEW",
    Sequence.DWI_HIGH: "DWI {fat} TRACEW",
    Sequence.ADC: "DWI {fat} ADC",
}
_ORIENTATION_WORDS: dict[Orientation, str] = {"sagittal": "SAG", "coronal": "COR", "axial": "AX"}


@dataclass(frozen=True, kw_only=True)
class Acquisition:
    """One station of one sequence, as the scanner delivers it.

    Attributes:
        sequence: What it shows; a middle b-value counts as `DWI_LOW`, its volume says which b it is.
        station: 0 for the head, counting to the feet.
        volume: float32 `(x, y, z)` RAS+; the widest spacing is the slice axis.
        description: Series description.
    """

    sequence: Sequence
    station: int
    volume: Volume
    description: str


def acquisition_of(
    sequence: Sequence, station: int, slab: Slab, volume: Volume, signal: SignalSettings
) -> Acquisition:
    """Return a station with the description that a technologist would have typed."""
    words = _WORDS[sequence].format(fat=signal.diffusion_fat.upper())
    description = f"{_ORIENTATION_WORDS[slab.orientation]} {words} ST{station + 1}"
    return Acquisition(sequence=sequence, station=station, volume=volume, description=description)
