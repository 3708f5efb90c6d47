"""One 2-D image and its place, and the tags that files of every kind share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydicom.dataset import Dataset

from marrowmap.data.b_values import BValue
from marrowmap.data.headers import Header
from marrowmap.data.tags import number, private, tokens_of, whole

_COMPONENTS = {"MAGNITUDE": "magnitude", "PHASE": "phase", "REAL": "real", "IMAGINARY": "imaginary"}
_COMPONENT_TOKENS = {
    "P": "phase",
    "PHASE": "phase",
    "PHASE MAP": "phase",
    "R": "real",
    "REAL": "real",
    "I": "imaginary",
    "IMAGINARY": "imaginary",
}


@dataclass(frozen=True, kw_only=True)
class Slice:
    """One 2-D image and its place in the patient.

    Attributes:
        header: The file that holds it.
        frame: Index of the frame in the file.
        corner: Row and column of its first pixel in the frame (not 0, 0 in a mosaic).
        rows: Height, pixels.
        columns: Width, pixels.
        orientation: Six direction cosines, LPS.
        position: Centre of the first pixel, LPS mm.
        pixel_spacing: Between rows, between columns, mm.
        thickness_mm: Slice spacing if written, else thickness, else 0.
        slope: Stored value to real value.
        intercept: Added after the slope.
        scale_slope: Philips' second slope (signal = value / slope / scale_slope), None elsewhere.
        echo_time_ms: Echo time, 0 where unknown.
        image_type: Tokens of Image Type (or Frame Type).
        component: magnitude, phase, real or imaginary.
        b_value: Diffusion weighting, None without a tag.
        direction: trace, directional or empty.
        order: Sorting key of repeats: temporal position, acquisition, instance, frame.
    """

    header: Header
    frame: int = 0
    corner: tuple[int, int] = (0, 0)
    rows: int
    columns: int
    orientation: tuple[float, ...]
    position: tuple[float, ...]
    pixel_spacing: tuple[float, ...]
    thickness_mm: float
    slope: float
    intercept: float
    scale_slope: float | None
    echo_time_ms: float
    image_type: tuple[str, ...]
    component: str
    b_value: BValue | None
    direction: str
    order: tuple[int, ...]


def common_tags(dataset: Dataset) -> dict[str, Any]:
    """Return what a classic file and a mosaic say in the same tags."""
    tokens = tokens_of(dataset.get("ImageType"))
    return {
        "thickness_mm": number(dataset, "SpacingBetweenSlices", 0.0)
        or number(dataset, "SliceThickness", 0.0),
        "echo_time_ms": number(dataset, "EchoTime", 0.0),
        "image_type": tokens,
        "component": component_of(dataset.get("ComplexImageComponent"), tokens),
    }


def scale_slope(dataset: Dataset) -> float | None:
    """Return Philips' scale slope, None elsewhere."""
    value = private(dataset, 0x2005, "Philips MR Imaging DD 001", 0x0E)
    return float(value) if isinstance(value, int | float) and value > 0 else None


def component_of(written: Any, tokens: tuple[str, ...]) -> str:
    """Return magnitude, phase, real or imaginary; magnitude where nothing is said."""
    if str(written or "") in _COMPONENTS:
        return _COMPONENTS[str(written)]
    return next((_COMPONENT_TOKENS[t] for t in tokens[2:] if t in _COMPONENT_TOKENS), "magnitude")


def order_of(dataset: Dataset, index: int) -> tuple[int, ...]:
    """Return the sorting key of repeats at one position."""
    return (
        whole(dataset, "TemporalPositionIdentifier"),
        whole(dataset, "AcquisitionNumber"),
        whole(dataset, "InstanceNumber"),
        index,
    )
