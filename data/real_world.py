"""Real World Value Mapping: a map's own words on what its numbers are.

Where a map names a unit of diffusivity, its mapping is taken instead of the rescale, whose unit nobody
writes. Everything else (a mapping to "no units", a look-up table) is left alone.
Source: DICOM PS3.3 C.7.6.16.2.11; units are UCUM codes.
"""

from __future__ import annotations

from collections.abc import Iterable

from pydicom.dataset import Dataset

from marrowmap.data.tags import first_item, number

#: One of each unit in um2/s, by code as it is written, without spaces.
_UM2_PER_S = {
    "um2/s": 1.0,
    "mm2/s": 1e6,
    "10-3.mm2/s": 1e3,
    "10*-3.mm2/s": 1e3,
    "10-3mm2/s": 1e3,
    "10-6.mm2/s": 1.0,
    "10*-6.mm2/s": 1.0,
    "10-6mm2/s": 1.0,
}


def rescale_of(values: Dataset, mappings: Iterable[Dataset]) -> tuple[float, float]:
    """Return slope and intercept from stored values to real ones.

    Args:
        values: Holds the rescale, if there is one.
        mappings: Items of the Real World Value Mapping Sequence; the first with a unit of diffusivity
            decides and gives um2/s.
    """
    for mapping in mappings:
        units = first_item(mapping, "MeasurementUnitsCodeSequence")
        code = "" if units is None else str(units.get("CodeValue") or "").replace(" ", "")
        if code in _UM2_PER_S and mapping.get("RealWorldValueSlope") is not None:
            factor = _UM2_PER_S[code]
            slope = number(mapping, "RealWorldValueSlope", 1.0)
            return factor * slope, factor * number(mapping, "RealWorldValueIntercept", 0.0)
    return number(values, "RescaleSlope", 1.0), number(values, "RescaleIntercept", 0.0)
