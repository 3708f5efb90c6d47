"""Enhanced multi-frame files -> slices: every frame with its own functional groups before the shared ones.

Frames are placed by their Plane Position alone. The dimension index is not needed for it, so that private
dimension pointers (Philips) do no harm.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydicom.dataset import Dataset

from marrowmap.data.b_values import find_b_value, find_directionality
from marrowmap.data.headers import Header
from marrowmap.data.real_world import rescale_of
from marrowmap.data.slice import Slice, component_of, scale_slope
from marrowmap.data.tags import number, numbers, positive, private, tokens_of, whole


def enhanced_slices(header: Header) -> Iterator[Slice]:
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
        slope, intercept = rescale_of(values, groups.items("RealWorldValueMappingSequence"))
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
            slope=slope,
            intercept=intercept,
            scale_slope=_enhanced_scale_slope(own),
            echo_time_ms=number(echo, "EffectiveEchoTime", 0.0),
            image_type=tokens,
            component=component_of(groups.get("MRImageFrameTypeSequence", "ComplexImageComponent"), tokens),
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


def _enhanced_scale_slope(frame: Dataset) -> float | None:
    """Return Philips' scale slope of an enhanced frame, kept in a nested private item."""
    nested = private(frame, 0x2005, "Philips MR Imaging DD 005", 0x0F)
    if nested is None:
        found = frame.get((0x2005, 0x140F))
        nested = found.value if found is not None else None
    if nested is None or isinstance(nested, bytes) or not len(nested):
        return None
    return scale_slope(nested[0])
