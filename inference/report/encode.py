"""Arrays to picture files: PNG with a palette or grey JPEG."""

from __future__ import annotations

import base64
import io
import struct
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

Bytes2D = npt.NDArray[np.uint8]
Bytes3D = npt.NDArray[np.uint8]
Rgba = tuple[int, int, int, int]


def palette_png(indices: Bytes2D, palette: tuple[Rgba, ...]) -> bytes:
    """Return a PNG of a `(row, column)` index array; the palette gives each index its RGBA colour."""
    rows, columns = indices.shape
    raw = np.zeros((rows, columns + 1), dtype=np.uint8)  # each row starts with filter type 0
    raw[:, 1:] = indices
    header = struct.pack(">IIBBBBB", columns, rows, 8, 3, 0, 0, 0)
    colours = bytes(value for colour in palette for value in colour[:3])
    alphas = bytes(colour[3] for colour in palette)
    pixels = zlib.compress(raw.tobytes(), 6)
    chunks = ((b"IHDR", header), (b"PLTE", colours), (b"tRNS", alphas), (b"IDAT", pixels), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks)


def grey_jpeg(grey: Bytes2D, quality: int) -> bytes:
    """Return a grey JPEG of a `(row, column)` array; quality is 1 to 95."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(grey).save(buffer, format="JPEG", quality=quality, optimize=True)
    return buffer.getvalue()


def data_uri(picture: bytes) -> str:
    """Return the picture as a `data:` address, its type read from its first bytes."""
    kind = "png" if picture.startswith(b"\x89PNG") else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode('ascii')}"


def _chunk(name: bytes, body: bytes) -> bytes:
    """Return one PNG chunk with its length and checksum."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def tissue_top(volume: npt.NDArray[Any], percentile: float) -> float:
    """Return the intensity at a percentile of the voxels above a twentieth of the maximum; 1 without any."""
    finite = np.nan_to_num(volume, nan=0.0, posinf=0.0, neginf=0.0)
    tissue = finite[finite > 0.05 * float(finite.max(initial=0.0))]
    return float(np.percentile(tissue, percentile)) if tissue.size else 1.0


def window_to_bytes(volume: npt.NDArray[Any], top: float, *, inverted: bool = False) -> npt.NDArray[np.uint8]:
    """Return intensities of zero to `top` as 0 to 255, or as 255 to 0 when inverted.

    Args:
        volume: Any shape; what is not finite is shown as zero.
        top: Intensity from which on everything is 255.
        inverted: True shows zero as white.
    """
    finite = np.nan_to_num(np.asarray(volume, dtype=np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    scaled = np.clip(finite * (255.0 / max(top, 1e-9)), 0.0, 255.0)
    return np.asarray(255.0 - scaled if inverted else scaled, dtype=np.uint8)
