"""How four manufacturers write the same images: names, b-values, Dixon kinds, units of ADC, scaling.

| vendor  | b-value | Dixon kind | ADC | signal |
|---------|---------|------------|-----|--------|
| Siemens | (0019,xx0C), sequence name `*ep_b900t` | Image Type | whole um2/s, no unit said | stored values |
| GE      | (0043,xx39) plus 1e9; 0 on other series | first word of description | um2/s | stored values |
| Philips | (0018,9087), (2001,xx03); 0 on other series | (2005,xx11) | 1e-3 mm2/s | scale slope |
| UIH     | (0065,xx09) given, (0065,xx0A) asked for | description | mm2/s | stored values |

Sources: dcm2niix, its vendor notes, and the public dcm_qa sets; what each tag holds was read in real headers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from pydicom.dataset import Dataset

from marrowmap.data.exam import Sequence

VendorName = Literal["siemens", "ge", "philips", "uih"]

_DIFFUSION = frozenset({Sequence.DWI_LOW, Sequence.DWI_HIGH})
_GE_OFFSET = 1_000_000_000


@dataclass(frozen=True, kw_only=True)
class Vendor:
    """One manufacturer's habits.

    Attributes:
        manufacturer: As the tag says.
        models: Model name at 1.5 and at 3 T.
        software: Software version.
        joins_b_values: All b-values of a station are one series.
        joins_dixon: All Dixon images of a station are one series.
        adc_slope: Stored whole um2/s to what the rescaled value means; None writes no rescale.
        has_scale_slope: Signals are scaled by series, with a slope to display and another to signal.
        label: Writes b-value, Dixon kind and Image Type of one sequence into its tags.
    """

    manufacturer: str
    models: tuple[str, str]
    software: str
    joins_b_values: bool
    joins_dixon: bool
    adc_slope: float | None
    has_scale_slope: bool
    label: Callable[[Dataset, Sequence, float | None], None]


def _siemens(tags: Dataset, sequence: Sequence, b_value_s_per_mm2: float | None) -> None:
    if sequence in _DIFFUSION and b_value_s_per_mm2 is not None:
        block = tags.private_block(0x0019, "SIEMENS MR HEADER", create=True)
        block.add_new(0x0C, "IS", str(round(b_value_s_per_mm2)))


_GE_PREFIX = {
    Sequence.DIXON_WATER: "WATER: ",
    Sequence.DIXON_FAT: "FAT: ",
    Sequence.DIXON_IN: "InPhase: ",
    Sequence.DIXON_OUT: "OutPhase: ",
}


def _ge(tags: Dataset, sequence: Sequence, b_value_s_per_mm2: float | None) -> None:
    del tags.SequenceName
    tags.ImageType = ["ORIGINAL", "PRIMARY", "OTHER"]
    if sequence is Sequence.ADC:
        tags.ImageType = ["DERIVED", "SECONDARY", "OTHER"]
        tags.SeriesDescription = f"ADC (10^-6 mm2/s): {tags.SeriesDescription}"[:64]
    elif sequence in _GE_PREFIX:
        plane, _, rest = str(tags.SeriesDescription).partition(" ")
        tags.SeriesDescription = f"{_GE_PREFIX[sequence]}{plane} LAVA FLEX {rest.rpartition(' ')[2]}"
        tags.ProtocolName = "LAVA FLEX"
    block = tags.private_block(0x0043, "GEMS_PARM_01", create=True)
    written = _GE_OFFSET + round(b_value_s_per_mm2) if b_value_s_per_mm2 is not None else 0
    block.add_new(0x39, "IS", [str(written), "8", "0", "0"])


_PHILIPS_KIND = {
    Sequence.DIXON_WATER: "W",
    Sequence.DIXON_FAT: "F",
    Sequence.DIXON_IN: "IP",
    Sequence.DIXON_OUT: "OP",
}


def _philips(tags: Dataset, sequence: Sequence, b_value_s_per_mm2: float | None) -> None:
    del tags.SequenceName
    kind = _PHILIPS_KIND.get(sequence, "ADC" if sequence is Sequence.ADC else "")
    readout = "M_IR" if sequence is Sequence.STIR else "M_SE"
    tags.ImageType = ["ORIGINAL", "PRIMARY", kind or readout, kind or "M", readout[2:]]
    b_value = float(b_value_s_per_mm2 or 0.0)
    tags.DiffusionBValue = b_value
    imaging = tags.private_block(0x2001, "Philips Imaging DD 001", create=True)
    imaging.add_new(0x03, "FL", b_value)
    if sequence in _DIFFUSION:
        imaging.add_new(0x04, "CS", "I")
    if sequence in _PHILIPS_KIND:
        tags.private_block(0x2005, "Philips MR Imaging DD 001", create=True).add_new(0x11, "CS", kind)


_UIH_KIND = {
    Sequence.DIXON_WATER: "WATER",
    Sequence.DIXON_FAT: "FAT",
    Sequence.DIXON_IN: "IN_PHASE",
    Sequence.DIXON_OUT: "OUT_PHASE",
}


def _uih(tags: Dataset, sequence: Sequence, b_value_s_per_mm2: float | None) -> None:
    del tags.SequenceName
    kind = _UIH_KIND.get(sequence, "ADC" if sequence is Sequence.ADC else "M")
    tags.ImageType = ["DERIVED" if kind == "ADC" else "ORIGINAL", "PRIMARY", kind, "NONE"]
    if sequence in _UIH_KIND:
        tags.ImageType = ["ORIGINAL", "PRIMARY", "M", "NONE"]
        tags.SeriesDescription = f"t1_gre_fsp3d_dixon_{kind.lower()} {tags.SeriesDescription}"[:64]
    if sequence in _DIFFUSION and b_value_s_per_mm2 is not None:
        block = tags.private_block(0x0065, "Image Private Header", create=True)
        # The gradients give a little less or more than what was asked for.
        block.add_new(0x09, "FD", 0.93 * b_value_s_per_mm2)
        block.add_new(0x0A, "FD", float(b_value_s_per_mm2))


VENDORS: dict[VendorName, Vendor] = {
    "siemens": Vendor(
        manufacturer="SIEMENS", models=("Avanto", "Skyra"), software="syngo MR B17", label=_siemens,
        joins_b_values=False, joins_dixon=False, adc_slope=None, has_scale_slope=False,
    ),
    "ge": Vendor(
        manufacturer="GE MEDICAL SYSTEMS", models=("Optima MR450w", "DISCOVERY MR750w"), software="27",
        label=_ge, joins_b_values=True, joins_dixon=False, adc_slope=None, has_scale_slope=False,
    ),
    "philips": Vendor(
        manufacturer="Philips Medical Systems", models=("Ingenia", "Ingenia Elition X"), software="5.6.1",
        label=_philips, joins_b_values=True, joins_dixon=True, adc_slope=1e-3, has_scale_slope=True,
    ),
    "uih": Vendor(
        manufacturer="UIH", models=("uMR 570", "uMR 790"), software="uMR V10", label=_uih,
        joins_b_values=True, joins_dixon=False, adc_slope=1e-6, has_scale_slope=False,
    ),
}  # fmt: skip
