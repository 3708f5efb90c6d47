"""Headers -> slices: every 2-D image with its place, whether alone, in a multi-frame file or in a mosaic."""

from __future__ import annotations

from dataclasses import replace

from pydicom.dataset import Dataset

from marrowmap.data.b_values import find_b_value, find_directionality
from marrowmap.data.errors import StudyError
from marrowmap.data.headers import Header
from marrowmap.data.mosaics import siemens_mosaic, uih_mosaic
from marrowmap.data.multiframe import enhanced_slices
from marrowmap.data.real_world import rescale_of
from marrowmap.data.slice import Slice, common_tags, order_of, scale_slope
from marrowmap.data.tags import instance_number_of, numbers, position_of, positive, tokens_of

__all__ = ["Prototypes", "Slice", "slices_of"]

#: Slices by the signature of their headers, to be copied with another position and number.
Prototypes = dict[tuple[int, ...], Slice]


def slices_of(header: Header, prototypes: Prototypes | None = None) -> list[Slice]:
    """Return the slices that one file holds.

    Args:
        header: A DICOM header.
        prototypes: Slices made before, which spare most of the work; filled here.

    Returns:
        One slice for a classic file, one per frame of an enhanced file, one per tile of a mosaic.

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
            return list(enhanced_slices(header))
        if (dataset.get("NumberOfFrames") or 1) > 1:
            raise StudyError(f"{dataset.NumberOfFrames} frames in one file without their positions")
        tokens = tokens_of(dataset.get("ImageType"))
        if "VFRAME" in tokens:
            return list(uih_mosaic(header))
        if "MOSAIC" in tokens:
            return list(siemens_mosaic(header))
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
    slope, intercept = rescale_of(dataset, dataset.get("RealWorldValueMappingSequence") or ())
    return Slice(
        header=header,
        rows=positive(dataset, "Rows"),
        columns=positive(dataset, "Columns"),
        orientation=numbers(dataset, "ImageOrientationPatient", 6),
        position=numbers(dataset, "ImagePositionPatient", 3),
        pixel_spacing=numbers(dataset, "PixelSpacing", 2),
        slope=slope,
        intercept=intercept,
        scale_slope=scale_slope(dataset) if _is_philips(dataset) else None,
        b_value=find_b_value(dataset),
        direction=find_directionality(dataset),
        order=order_of(dataset, 0),
        **common_tags(dataset),
    )


def _like(prototype: Slice, header: Header) -> Slice:
    """Return the slice of a file that differs from the prototype's in UID, position and number only."""
    return replace(
        prototype,
        header=header,
        position=position_of(header.dataset),
        order=(*prototype.order[:2], instance_number_of(header.dataset), 0),
    )


def _is_philips(dataset: Dataset) -> bool:
    """Say whether Philips made the file; only then are its private elements worth a look."""
    return str(dataset.get("Manufacturer") or "Philips").lower().startswith("philips")
