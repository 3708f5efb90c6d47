"""Stacks -> arrays: pixels decoded once, straight into the volume, with every slice's own rescale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from marrowmap.data.errors import StudyError
from marrowmap.data.exam import Array3D
from marrowmap.data.headers import Header, tolerant
from marrowmap.data.slices import Slice
from marrowmap.data.stacks import Stack
from marrowmap.data.tags import whole

#: Bytes between the start of the pixel element and its first pixel.
_ELEMENT_HEADER = {str(ExplicitVRLittleEndian): 12, str(ImplicitVRLittleEndian): 8}


def read_stack(stack: Stack, *, quantitative: bool) -> Array3D:
    """Read the pixels of a stack.

    Args:
        stack: The pile of slices.
        quantitative: True for maps (real value = stored * slope + intercept). False for signal: Philips'
            second slope is then applied too, so that b-values and stations share one scale.

    Returns:
        float32 `(i, j, k)`; the memory runs along i first, as it does in the files.

    Raises:
        StudyError: If a file is cut short or its compression cannot be decoded here.
    """
    columns, rows, count = stack.shape
    planes: npt.NDArray[np.float32] | None = None
    files: dict[int, Any] = {}
    layouts: _Layouts = {}
    with tolerant():
        for k, one in enumerate(stack.slices):
            key = id(one.header)
            if key not in files:
                # A stack walks through files in order: only a multi-frame file is worth keeping.
                files = {key: _frames(one.header, layouts)}
            frame = _tile(files[key], one)
            if planes is None:
                # Not sooner: a header may claim any size, and only now it is known that pixels are there.
                planes = np.empty((count, rows, columns), dtype=np.float32)
            planes[k] = frame
            _rescale(planes[k], one, quantitative)
    assert planes is not None, "a stack has slices"
    return planes.transpose(2, 1, 0)


def _tile(frames: Sequence[npt.NDArray[Any]], one: Slice) -> npt.NDArray[Any]:
    """Return a slice's part of its frame, stored values `(row, column)`.

    Raises:
        StudyError: If the file holds fewer frames or pixels than its header says.
    """
    row, column = one.corner
    if one.frame >= len(frames):
        raise StudyError(f"{len(frames)} frames in a file that says it holds more; copy it again")
    tile = frames[one.frame][row : row + one.rows, column : column + one.columns]
    if tile.shape != (one.rows, one.columns):
        raise StudyError(f"frames of {frames[0].shape} pixels where the header says more; copy it again")
    return tile


def _rescale(plane: npt.NDArray[np.float32], one: Slice, quantitative: bool) -> None:
    """Turn stored values into real ones, in place."""
    slope, intercept = one.slope or 1.0, one.intercept
    if not quantitative and one.scale_slope is not None:
        # Philips: floating point value = (stored * slope + intercept) / (slope * scale slope).
        intercept /= slope * one.scale_slope
        slope = 1.0 / one.scale_slope
    if slope != 1.0:
        plane *= np.float32(slope)
    if intercept != 0.0:
        plane += np.float32(intercept)


@dataclass(frozen=True, kw_only=True)
class _Layout:
    """How the pixels of an uncompressed little-endian file lie in it.

    Attributes:
        skip: Bytes between the start of the pixel element and its first pixel.
        kind: Of the stored numbers.
        shape: Frames, rows, columns.
        size: All of it in bytes.
        is_inverted: Whether high values are dark (MONOCHROME1).
    """

    skip: int
    kind: np.dtype[Any]
    shape: tuple[int, int, int]
    size: int
    is_inverted: bool


#: Layouts by the signature of headers and their encoding, None for pixels that need a decoder.
_Layouts = dict[tuple[tuple[int, ...], str], _Layout | None]


def _frames(header: Header, layouts: _Layouts) -> Sequence[npt.NDArray[Any]]:
    """Return the frames of one file, each `(row, column)`.

    Args:
        header: The file.
        layouts: Of the files before; filled here.

    Raises:
        StudyError: If they cannot be read.
    """
    try:
        layout = _layout_of(header, layouts)
        frames = _decoded_frames(header) if layout is None else _native_frames(header, layout)
    except StudyError:
        raise
    except Exception as error:
        # Decoders raise whatever they like; the user needs one sentence.
        syntax = UID(header.transfer_syntax).name
        raise StudyError(
            f"cannot decode pixels ({syntax}): {type(error).__name__}; send it uncompressed"
        ) from error
    return frames


def _layout_of(header: Header, layouts: _Layouts) -> _Layout | None:
    """Return how the pixels of a file lie in it, looked up once for headers that are alike.

    Raises:
        StudyError: If they are in colour.
    """
    is_placed = header.signature is not None and header.pixel_offset is not None
    key = (header.signature or (), header.transfer_syntax) if is_placed else None
    if key is None or key not in layouts:
        if (whole(header.dataset, "SamplesPerPixel") or 1) != 1:
            raise StudyError("colour pixels where a grey image is needed; export the original series")
        found = _layout(header)
        if key is None:
            return found
        layouts[key] = found
    return layouts[key]


def _layout(header: Header) -> _Layout | None:
    """Return how uncompressed little-endian pixels lie in a file, None if they are not that."""
    dataset = header.dataset
    skip = _ELEMENT_HEADER.get(header.transfer_syntax)
    bits = int(dataset.get("BitsAllocated") or 0)
    if skip is None or header.pixel_offset is None or bits not in (8, 16, 32):
        return None
    signed = int(dataset.get("PixelRepresentation") or 0) == 1
    kind = np.dtype(f"<{'i' if signed else 'u'}{bits // 8}")
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    count = int(dataset.get("NumberOfFrames") or 1)
    size = rows * columns * count * kind.itemsize
    is_inverted = dataset.get("PhotometricInterpretation") == "MONOCHROME1"
    return _Layout(skip=skip, kind=kind, shape=(count, rows, columns), size=size, is_inverted=is_inverted)


def _native_frames(header: Header, layout: _Layout) -> list[npt.NDArray[Any]]:
    """Return frames straight from their offset.

    Raises:
        StudyError: If the file ends before its last pixel.
    """
    with header.source.open() as stream:
        pixels = _read_exactly(stream, (header.pixel_offset or 0) + layout.skip, layout.size)
    frames = np.frombuffer(pixels, dtype=layout.kind).reshape(layout.shape)
    return list(_inverted(frames, header) if layout.is_inverted else frames)


def _read_exactly(stream: BinaryIO, offset: int, size: int) -> bytes:
    """Read a run of bytes.

    Raises:
        StudyError: If the file ends before.
    """
    stream.seek(offset)
    found = stream.read(size)
    if len(found) < size:
        raise StudyError(f"pixels cut short: need {size} bytes, found {len(found)}; copy the file again")
    return found


def _decoded_frames(header: Header) -> list[npt.NDArray[Any]]:
    """Return the frames through pydicom's decoders."""
    with header.source.open() as stream:
        dataset = pydicom.dcmread(stream)
        if "PixelData" not in dataset:
            raise StudyError("no pixel data in a file that says it is an image; copy it again")
        pixels = dataset.pixel_array
    frames = pixels.reshape(-1, int(dataset.Rows), int(dataset.Columns))
    return list(_inverted(frames, header))


def _inverted(frames: npt.NDArray[Any], header: Header) -> npt.NDArray[Any]:
    """Return frames with high values bright (MONOCHROME1 is stored the other way round)."""
    if header.dataset.get("PhotometricInterpretation") != "MONOCHROME1":
        return frames
    signed = int(header.dataset.get("PixelRepresentation") or 0) == 1
    bits = int(header.dataset.get("BitsStored") or 16)
    return (-1 if signed else (1 << bits) - 1) - frames.astype(np.int64)
