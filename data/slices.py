"""Headers -> slices: every 2-D image with its place, whether alone, in a multi-frame file or in a mosaic."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from pydicom.dataset import Dataset

from marrowmap.data.b_values import BValue, find_b_value, find_directionality
from marrowmap.data.errors import StudyError
from marrowmap.data.headers import Header
from marrowmap.data.tags import number, numbers, positive, private, tokens_of, whole

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


#: Slices by the signature of their headers, to be copied with another position and number.
Prototypes = dict[tuple[int, ...], Slice]


def slices_of(header: Header, prototypes: Prototypes | None = None) -> list[Slice]:
    """Return the slices that one file holds.

    Args:
        header: A DICOM header.
        prototypes: Slices made before, which spare most of the work; filled here.

    Returns:
        One slice for a classic file, one per frame of an enhanced file, one per tile of a UIH mosaic.

    Raises:
        StudyError: If the file is no image with a place, or a mosaic that cannot be read; the text is the
            reason for leaving its series out.
    """
    dataset = header.dataset
    known = prototypes.get(header.signature) if prototypes and header.signature else None
    try:
        if known is not None:
            return [_like(known, header)]
        if dataset.get("PerFrameFunctionalGroupsSequence"):
            return list(_enhanced(header))
        if (dataset.get("NumberOfFrames") or 1) > 1:
            raise StudyError(f"{dataset.NumberOfFrames} frames in one file without their positions")
        tokens = tokens_of(dataset.get("ImageType"))
        if "VFRAME" in tokens:
            return list(_uih_mosaic(header))
        if "MOSAIC" in tokens:
            raise StudyError("a Siemens mosaic; export it as one file per slice, or as enhanced DICOM")
        made = _classic(header)
        if prototypes is not None and header.signature:
            prototypes[header.signature] = made
        return [made]
    except StudyError:
        raise
    except Exception as error:
        # Values inside sequences are converted only here, and a damaged one raises almost anything.
        raise StudyError("a header value that cannot be read as a number or place") from error


def _classic(header: Header) -> Slice:
    """Return the slice of a single-frame file."""
    dataset = header.dataset
    return Slice(
        header=header,
        rows=positive(dataset, "Rows"),
        columns=positive(dataset, "Columns"),
        orientation=numbers(dataset, "ImageOrientationPatient", 6),
        position=numbers(dataset, "ImagePositionPatient", 3),
        pixel_spacing=numbers(dataset, "PixelSpacing", 2),
        slope=number(dataset, "RescaleSlope", 1.0),
        intercept=number(dataset, "RescaleIntercept", 0.0),
        scale_slope=_scale_slope(dataset) if _is_philips(dataset) else None,
        b_value=find_b_value(dataset),
        direction=find_directionality(dataset),
        order=_order(dataset, 0),
        **_common(dataset),
    )


def _like(prototype: Slice, header: Header) -> Slice:
    """Return the slice of a file that differs from the prototype's in UID, position and number only."""
    return replace(
        prototype,
        header=header,
        position=numbers(header.dataset, "ImagePositionPatient", 3),
        order=(*prototype.order[:2], whole(header.dataset, "InstanceNumber"), 0),
    )


def _common(dataset: Dataset) -> dict[str, Any]:
    """Return what a classic file and a mosaic say in the same tags."""
    tokens = tokens_of(dataset.get("ImageType"))
    return {
        "thickness_mm": number(dataset, "SpacingBetweenSlices", 0.0)
        or number(dataset, "SliceThickness", 0.0),
        "echo_time_ms": number(dataset, "EchoTime", 0.0),
        "image_type": tokens,
        "component": _component(dataset.get("ComplexImageComponent"), tokens),
    }


def _uih_mosaic(header: Header) -> Iterator[Slice]:
    """Yield the tiles of a UIH mosaic (`VFRAME`); each tile's place is in a private sequence."""
    dataset = header.dataset
    items = private(dataset, 0x0065, "Image Private Header", 0x51)
    count = len(items) if items else 0
    if not count:
        raise StudyError("a UIH mosaic without its table of positions; export it as one file per slice")
    side = next(n for n in range(1, count + 1) if n * n >= count)
    rows, columns = positive(dataset, "Rows"), positive(dataset, "Columns")
    across = side
    down = -(-count // across)
    if rows % down or columns % across:
        raise StudyError(f"a UIH mosaic of {count} slices that does not divide {rows} x {columns} pixels")
    height, width = rows // down, columns // across
    for tile, item in enumerate(items):
        yield Slice(
            header=header,
            corner=(tile // across * height, tile % across * width),
            rows=height,
            columns=width,
            orientation=numbers(dataset, "ImageOrientationPatient", 6),
            position=numbers(item, "ImagePositionPatient", 3),
            pixel_spacing=numbers(dataset, "PixelSpacing", 2),
            slope=number(dataset, "RescaleSlope", 1.0),
            intercept=number(dataset, "RescaleIntercept", 0.0),
            scale_slope=None,
            b_value=find_b_value(dataset),
            direction="",
            order=_order(dataset, tile),
            **_common(dataset),
        )


def _enhanced(header: Header) -> Iterator[Slice]:
    """Yield the frames of an enhanced file, each with its own functional groups before the shared ones."""
    dataset = header.dataset
    shared_items = dataset.get("SharedFunctionalGroupsSequence")
    shared = shared_items[0] if shared_items else Dataset()
    rows, columns = positive(dataset, "Rows"), positive(dataset, "Columns")
    for index, own in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        groups = _Groups(own, shared)
        tokens = tokens_of(groups.get("MRImageFrameTypeSequence", "FrameType") or dataset.get("ImageType"))
        merged = Dataset()
        merged.MRDiffusionSequence = groups.items("MRDiffusionSequence")
        measures = groups.item("PixelMeasuresSequence")
        values = groups.item("PixelValueTransformationSequence")
        content = groups.item("FrameContentSequence")
        echo = groups.item("MREchoSequence")
        yield Slice(
            header=header,
            frame=index,
            rows=rows,
            columns=columns,
            orientation=numbers(groups.item("PlaneOrientationSequence"), "ImageOrientationPatient", 6),
            position=numbers(groups.item("PlanePositionSequence"), "ImagePositionPatient", 3),
            pixel_spacing=numbers(measures, "PixelSpacing", 2),
            thickness_mm=number(measures, "SpacingBetweenSlices", 0.0)
            or number(measures, "SliceThickness", 0.0),
            slope=number(values, "RescaleSlope", 1.0),
            intercept=number(values, "RescaleIntercept", 0.0),
            scale_slope=_enhanced_scale_slope(own),
            echo_time_ms=number(echo, "EffectiveEchoTime", 0.0),
            image_type=tokens,
            component=_component(groups.get("MRImageFrameTypeSequence", "ComplexImageComponent"), tokens),
            b_value=find_b_value(dataset, merged),
            direction=find_directionality(dataset, merged),
            order=(
                whole(content, "TemporalPositionIndex"),
                whole(content, "FrameAcquisitionNumber"),
                0,
                index,
            ),
        )


@dataclass(frozen=True)
class _Groups:
    """A frame's functional groups: its own first, then the shared ones."""

    own: Dataset
    shared: Dataset

    def items(self, name: str) -> Any:
        """Return the items of a group, an empty list if neither has it."""
        return self.own.get(name) or self.shared.get(name) or []

    def item(self, name: str) -> Dataset:
        """Return the first item of a group, empty if neither has it."""
        found = self.items(name)
        return found[0] if found else Dataset()

    def get(self, name: str, keyword: str) -> Any:
        """Return one value of a group, None if absent."""
        return self.item(name).get(keyword)


def _is_philips(dataset: Dataset) -> bool:
    """Say whether Philips made the file; only then are its private elements worth a look."""
    return str(dataset.get("Manufacturer") or "Philips").lower().startswith("philips")


def _scale_slope(dataset: Dataset) -> float | None:
    """Return Philips' scale slope, None elsewhere."""
    value = private(dataset, 0x2005, "Philips MR Imaging DD 001", 0x0E)
    return float(value) if isinstance(value, int | float) and value > 0 else None


def _enhanced_scale_slope(frame: Dataset) -> float | None:
    """Return Philips' scale slope of an enhanced frame, kept in a nested private item."""
    nested = private(frame, 0x2005, "Philips MR Imaging DD 005", 0x0F)
    if nested is None:
        found = frame.get((0x2005, 0x140F))
        nested = found.value if found is not None else None
    if nested is None or isinstance(nested, bytes) or not len(nested):
        return None
    return _scale_slope(nested[0])


def _component(written: Any, tokens: tuple[str, ...]) -> str:
    """Return magnitude, phase, real or imaginary; magnitude where nothing is said."""
    if str(written or "") in _COMPONENTS:
        return _COMPONENTS[str(written)]
    return next((_COMPONENT_TOKENS[t] for t in tokens[2:] if t in _COMPONENT_TOKENS), "magnitude")


def _order(dataset: Dataset, index: int) -> tuple[int, ...]:
    """Return the sorting key of repeats at one position."""
    return (
        whole(dataset, "TemporalPositionIdentifier"),
        whole(dataset, "AcquisitionNumber"),
        whole(dataset, "InstanceNumber"),
        index,
    )
