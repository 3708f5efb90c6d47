"""Private numbers without which images would be read wrong, and which identify nobody.

PS3.15, table E.3.10-1, lists them as safe: Philips' scale slope and image type, the number of slices of a
Siemens mosaic. The slice normal of a Siemens mosaic and the positions of a UIH mosaic are numbers alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydicom.dataset import Dataset

from marrowmap.data.csa import compact
from marrowmap.data.tags import private

_PHILIPS, _PHILIPS_FRAME = "Philips MR Imaging DD 001", "Philips MR Imaging DD 005"
_SIEMENS, _CSA, _UIH = "SIEMENS MR HEADER", "SIEMENS CSA HEADER", "Image Private Header"
#: Group, creator, element, VR.
_PLAIN = ((0x2005, _PHILIPS, 0x0E, "FL"), (0x2005, _PHILIPS, 0x11, "CS"), (0x0019, _SIEMENS, 0x0A, "US"))
_CSA_KEPT = ("NumberOfImagesInMosaic", "SliceNormalVector")


@dataclass(frozen=True, kw_only=True)
class SafePrivate:
    """Private elements to be put back after all were removed.

    Attributes:
        elements: Group, creator, element, VR and value.
        frame_slopes: Philips' scale slope by frame of an enhanced file.
    """

    elements: tuple[tuple[int, str, int, str, Any], ...]
    frame_slopes: tuple[float | None, ...] = ()

    def put_back(self, dataset: Dataset) -> None:
        """Add the elements to a data set and its frames."""
        for group, creator, element, vr, value in self.elements:
            dataset.private_block(group, creator, create=True).add_new(element, vr, value)
        frames = dataset.get("PerFrameFunctionalGroupsSequence") or []
        for frame, slope in zip(frames, self.frame_slopes, strict=False):
            if slope is not None:
                item = Dataset()
                item.private_block(0x2005, _PHILIPS, create=True).add_new(0x0E, "FL", slope)
                frame.private_block(0x2005, _PHILIPS_FRAME, create=True).add_new(0x0F, "SQ", [item])


def safe_private_of(dataset: Dataset) -> SafePrivate:
    """Return the private numbers of a file that must be kept."""
    found = []
    for group, creator, element, vr in _PLAIN:
        value = private(dataset, group, creator, element)
        if value is not None and not isinstance(value, bytes):
            found.append((group, creator, element, vr, value))
    csa = private(dataset, 0x0029, _CSA, 0x10)
    if "MOSAIC" in (dataset.get("ImageType") or ()) and isinstance(csa, bytes):
        found.append((0x0029, _CSA, 0x10, "OB", compact(csa, _CSA_KEPT)))
    positions = private(dataset, 0x0065, _UIH, 0x51)
    if positions and not isinstance(positions, bytes | str):
        found.append((0x0065, _UIH, 0x51, "SQ", [_position_alone(item) for item in positions]))
    frames = dataset.get("PerFrameFunctionalGroupsSequence") or []
    return SafePrivate(elements=tuple(found), frame_slopes=tuple(map(_frame_slope, frames)))


def _position_alone(item: Dataset) -> Dataset:
    """Return a UIH mosaic's item with nothing but the position."""
    kept = Dataset()
    if "ImagePositionPatient" in item:
        kept.ImagePositionPatient = item.ImagePositionPatient
    return kept


def _frame_slope(frame: Dataset) -> float | None:
    """Return Philips' scale slope of an enhanced frame, None elsewhere."""
    nested = private(frame, 0x2005, _PHILIPS_FRAME, 0x0F)
    if not nested or isinstance(nested, bytes):
        return None
    slope = private(nested[0], 0x2005, _PHILIPS, 0x0E)
    return float(slope) if isinstance(slope, int | float) else None
