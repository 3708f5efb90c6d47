"""SEG: lesions and skeletal regions, one binary segment each, named as Slicer and OHIF read them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import highdicom as hd
import numpy as np
import numpy.typing as npt
from highdicom.color import CIELabColor
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from marrowmap.data.exam import Sequence
from marrowmap.data.skeleton import Region
from marrowmap.data.sources import SourceSeries
from marrowmap.inference.dicom_out import codes
from marrowmap.inference.dicom_out.provenance import Maker, digest_of

Lesion = Mapping[str, Any]
Rgb = tuple[int, int, int]

#: Colours as in the report: certain red, equivocal orange, suspected benign blue. OHIF stops without any.
CERTAIN_RGB, EQUIVOCAL_RGB, BENIGN_RGB = (224, 36, 52), (240, 150, 0), (32, 120, 225)
#: Functional groups that are the same for all slices of a stack.
_SHARED_GROUPS = ("PixelMeasuresSequence", "PlaneOrientationSequence")
REGION_RGB: Mapping[Region, Rgb] = {
    Region.SKULL: (241, 214, 145),
    Region.CERVICAL_SPINE: (102, 194, 165),
    Region.THORACIC_SPINE: (141, 160, 203),
    Region.LUMBAR_SPINE: (166, 216, 84),
    Region.SACRUM_PELVIS: (255, 217, 47),
    Region.THORAX: (229, 196, 148),
    Region.HUMERI: (231, 138, 195),
    Region.FEMORA: (179, 179, 179),
}


@dataclass(frozen=True, kw_only=True)
class Segment:
    """One segment to write.

    Attributes:
        value: Its value in the label frames.
        label: Name in viewers, at most 64 characters.
        tracking_id: Stable name of what it outlines.
        tracking_uid: The same as a UID; equal in every object that shows it.
        is_lesion: False for anatomy.
        site: Anatomic site; of anatomy, what it is.
        rgb: Recommended colour.
    """

    value: int
    label: str
    tracking_id: str
    tracking_uid: str
    is_lesion: bool
    site: Any
    rgb: Rgb


def lesion_segments(lesions: list[Lesion], maker: Maker) -> list[Segment]:
    """Return a segment for every lesion that no reader has rejected."""
    return [
        Segment(
            value=lesion["id"],
            label=lesion_label(lesion)[:64],
            tracking_id=tracking_id(lesion["id"]),
            tracking_uid=tracking_uid(lesion["id"], maker),
            is_lesion=True,
            site=codes.site_of(lesion["region"], lesion.get("level")),
            rgb=_colour(lesion),
        )
        for lesion in lesions
        if lesion["certainty"] != "rejected"
    ]


def region_segments(maker: Maker) -> list[Segment]:
    """Return a segment for every skeletal region."""
    return [
        Segment(
            value=int(region),
            label=region.label.capitalize(),
            tracking_id=f"marrowmap-region-{region.key}",
            tracking_uid=maker.uid("region", region.key),
            is_lesion=False,
            site=codes.SITES[region.key],
            rgb=REGION_RGB[region],
        )
        for region in Region
    ]


def searched_segment(maker: Maker, *, has_skeleton: bool) -> Segment:
    """Return where was looked as one anatomic segment of value 1, for an exam without lesions.

    A segmentation needs a segment, and no segment of type lesion may stand where there is no lesion.
    """
    where = "Skeleton" if has_skeleton else "Body"
    return Segment(
        value=1,
        label=f"{where} searched, no lesion found",
        tracking_id=f"marrowmap-{where.lower()}",
        tracking_uid=maker.uid(where),
        is_lesion=False,
        site=codes.BONE if has_skeleton else codes.ENTIRE_BODY,
        rgb=(241, 214, 145),
    )


def lesion_label(lesion: Lesion) -> str:
    """Return the name of a lesion in viewers: number, vertebra or region."""
    region = lesion["region"]
    label = Region[region.upper()].label if region else "outside the skeleton"
    return f"Lesion {lesion['id']}, {lesion.get('level') or label}"


def tracking_id(lesion_id: int) -> str:
    """Return the stable name of a lesion."""
    return f"marrowmap-lesion-{lesion_id:03d}"


def tracking_uid(lesion_id: int, maker: Maker) -> str:
    """Return the UID of a lesion: one in all objects of an exam, and after a revision too."""
    return maker.uid("lesion", lesion_id)


def segmentation(
    series: SourceSeries,
    frames: npt.NDArray[np.uint16],
    segments: list[Segment],
    maker: Maker,
    *,
    number: int,
    description: str,
    label: str,
) -> hd.seg.Segmentation | None:
    """Return a SEG on one source series, None where none of the segments is on it.

    Args:
        series: The series that it refers to.
        frames: Labels as `(slice, row, column)`, stack by stack.
        segments: What the labels mean; those not on the series are left out.
        maker: Who makes it.
        number: Series number.
        description: Series description.
        label: Content label, capitals.
    """
    here = set(np.unique(frames).tolist())
    shown = [segment for segment in segments if segment.value in here]
    if not shown:
        return None
    seed = digest_of([str(series.first.SOPInstanceUID).encode(), str(shown).encode(), frames.tobytes()])
    seg = hd.seg.Segmentation(
        source_images=[_used_frames(series)] if series.is_multiframe else list(series.datasets),
        pixel_array=_numbered(frames, shown),
        segmentation_type="BINARY",
        segment_descriptions=[_description(n, segment, maker) for n, segment in enumerate(shown, start=1)],
        series_instance_uid=maker.uid(label, seed, "series"),
        series_number=number,
        sop_instance_uid=maker.uid(label, seed),
        instance_number=1,
        **maker.device(),
        content_label=label,
        content_description="Research use only, unverified",
        series_description=description,
        specific_character_set="ISO_IR 192",
        contributing_equipment=[maker.contribution()],
        omit_empty_frames=True,
    )
    if series.is_multiframe:
        _refer_to_original_frames(seg, series)
    return seg


def _numbered(frames: npt.NDArray[np.uint16], shown: list[Segment]) -> npt.NDArray[np.integer]:
    """Return labels as segment numbers, 1 on, and 0 for what is not shown."""
    table = np.zeros(int(frames.max()) + 1, dtype=np.uint16 if len(shown) > 255 else np.uint8)
    for position, segment in enumerate(shown, start=1):
        table[segment.value] = position
    return table[frames]


def _used_frames(series: SourceSeries) -> Dataset:
    """Return a multi-frame header with the used frames alone: others may lie at the same places.

    What all frames share is said once, as highdicom wants it; some scanners say it for every frame.
    """
    frames = [frame for stack in series.stacks for frame in stack.frames]
    own = series.first.PerFrameFunctionalGroupsSequence
    shared = Dataset()
    for item in (own[frames[0]], *series.first.get("SharedFunctionalGroupsSequence", [])):
        shared.update({element.tag: element for element in item if element.keyword in _SHARED_GROUPS})
    reduced = Dataset()
    reduced.update(series.first)
    for keyword, kind, value in (
        ("SharedFunctionalGroupsSequence", "SQ", [shared]),
        ("PerFrameFunctionalGroupsSequence", "SQ", [own[frame] for frame in frames]),
        ("NumberOfFrames", "IS", len(frames)),
    ):
        reduced[keyword] = DataElement(keyword, kind, value)
    return reduced


def _refer_to_original_frames(seg: hd.seg.Segmentation, series: SourceSeries) -> None:
    """Turn references to used frames into those of the file, in place."""
    frames = [frame for stack in series.stacks for frame in stack.frames]
    for own in seg.PerFrameFunctionalGroupsSequence:
        for derivation in own.get("DerivationImageSequence", []):
            for source in derivation.SourceImageSequence:
                source.ReferencedFrameNumber = frames[int(source.ReferencedFrameNumber) - 1] + 1


def segment_number(seg: hd.seg.Segmentation, uid: str) -> int:
    """Return the number of the segment with a tracking UID."""
    return next(int(item.SegmentNumber) for item in seg.SegmentSequence if item.TrackingUID == uid)


def _description(number: int, segment: Segment, maker: Maker) -> hd.seg.SegmentDescription:
    category, kind = (codes.ABNORMAL, codes.LESION) if segment.is_lesion else (codes.ANATOMICAL, segment.site)
    return hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=segment.label,
        segmented_property_category=category,
        segmented_property_type=kind,
        algorithm_type="AUTOMATIC",
        algorithm_identification=maker.algorithm(),
        tracking_uid=segment.tracking_uid,
        tracking_id=segment.tracking_id,
        anatomic_regions=[segment.site] if segment.is_lesion else None,
        display_color=CIELabColor.from_rgb(*segment.rgb),
    )


def _colour(lesion: Lesion) -> Rgb:
    """Return the report's colour of a lesion."""
    if lesion["suspected_benign"]:
        return BENIGN_RGB
    return CERTAIN_RGB if lesion["certainty"] == "certain" else EQUIVOCAL_RGB


def source_words(series: SourceSeries) -> str:
    """Return what a source series is called in the description of its segmentation."""
    number = series.first.get("SeriesNumber")
    return f"series {number}" if number is not None else str(Sequence.DWI_HIGH)
