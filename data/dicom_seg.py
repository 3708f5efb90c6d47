"""DICOM SEG in: lesions and skeletal regions that somebody drew in a viewer, with what each segment is.

A segment is a lesion by its category (a morphologically abnormal structure) or by the word in its label; it
is a skeletal region by its anatomical code. Anything else is named and left out.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from marrowmap.data.errors import StudyError
from marrowmap.data.exam import Affine, LabelArray
from marrowmap.data.skeleton import Region

if TYPE_CHECKING:
    import highdicom as hd

_log = logging.getLogger(__name__)

SEG_STORAGE = "1.2.840.10008.5.1.4.1.1.66.4"
#: SNOMED CT: a morphologically abnormal structure; an anatomical structure.
ABNORMAL_CODE, ANATOMICAL_CODE = "49755003", "91723000"
#: SNOMED CT codes of the skeletal regions.
REGION_CODES = {
    Region.SKULL: "89546000",
    Region.CERVICAL_SPINE: "122494005",
    Region.THORACIC_SPINE: "122495006",
    Region.LUMBAR_SPINE: "122496007",
    Region.SACRUM_PELVIS: "118645006",
    Region.THORAX: "272710004",
    Region.HUMERI: "85050009",
    Region.FEMORA: "71341001",
}
_REGION_OF_CODE = {code: region for region, code in REGION_CODES.items()}


@dataclass(frozen=True, kw_only=True, eq=False)
class Segmentation:
    """What one SEG shows.

    Attributes:
        lesions: int32 `(slice, row, column)`: 0 is none, `n` is entry `n - 1` of `lesion_names`.
        lesion_names: Tracking UID of each lesion, or file and segment number where it has none: the same
            lesion in two SEGs has one name.
        regions: uint8 of `Region` on the same grid, 0 elsewhere; None where no segment is a region.
        affine_ras_mm: 4 x 4, voxel index to RAS+ mm.
    """

    lesions: LabelArray
    lesion_names: tuple[str, ...]
    regions: LabelArray | None
    affine_ras_mm: Affine


def read_segmentation(path: Path) -> Segmentation:
    """Read a SEG: binary, fractional (at one half) or label map.

    Raises:
        StudyError: If it is damaged, lies on no regular grid, or none of its segments is a lesion or region.
    """
    import highdicom as hd

    try:
        seg = hd.seg.segread(path)
        volume = seg.get_volume(combine_segments=False, rescale_fractional=True)
    except Exception as error:
        # The library raises what it happens to meet: attribute, key, index, runtime and value errors.
        raise StudyError(
            f"cannot read {path.name} as a DICOM segmentation on a regular grid; export it again"
        ) from error
    lesions, names, regions = _sorted_segments(seg, np.asarray(volume.array), path)
    is_anatomy = any(_category(seg, number) == ANATOMICAL_CODE for number in seg.segment_numbers)
    if not names and not is_anatomy:  # anatomy alone says that somebody looked and drew no lesion
        raise StudyError(
            f"no segment of {path.name} is a lesion: need the category morphologically abnormal structure "
            f"({ABNORMAL_CODE}) or the word lesion in its label; correct it in the viewer"
        )
    return Segmentation(
        lesions=lesions,
        lesion_names=tuple(names),
        regions=regions if regions.any() else None,
        affine_ras_mm=np.asarray(volume.get_affine("RAS"), dtype=np.float64),
    )


def _sorted_segments(
    seg: hd.seg.Segmentation, array: npt.NDArray[Any], path: Path
) -> tuple[LabelArray, list[str], LabelArray]:
    """Return lesion numbers, their names, and regions of the frames `(slice, row, column, segment)`."""
    lesions, regions = np.zeros(array.shape[:3], dtype=np.int32), np.zeros(array.shape[:3], dtype=np.uint8)
    names: list[str] = []
    for channel, number in enumerate(seg.segment_numbers):
        described = seg.get_segment_description(number)
        inside = array[..., channel] >= 0.5
        region = _REGION_OF_CODE.get(described.segmented_property_type.value)
        if _category(seg, number) == ABNORMAL_CODE or _is_called_lesion(str(described.segment_label)):
            names.append(str(described.tracking_uid or f"{path.name}:{number}"))
            lesions[inside] = len(names)
        elif region is not None:
            regions[inside] = region
        else:
            _log.warning("%s: segment %d is neither lesion nor skeletal region; left out", path.name, number)
    return lesions, names, regions


def find_segmentations(folder: Path) -> dict[str, tuple[list[Path], list[Path]]]:
    """Return the DICOM studies below a folder that somebody segmented.

    Segmentations that marrowmap itself made are no annotation, whatever a reader thought of them.

    Returns:
        By Study Instance UID: the files of its images, and its SEGs, both sorted.
    """
    studies: dict[str, tuple[list[Path], list[Path]]] = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        header = _header(path)
        if header is None or header.get("Modality") not in ("MR", "SEG"):
            continue
        images, segs = studies.setdefault(str(header.get("StudyInstanceUID", "")), ([], []))
        if header.Modality == "MR":
            images.append(path)
        elif header.get("ManufacturerModelName") != "marrowmap":
            segs.append(path)
    return {uid: found for uid, found in studies.items() if found[0] and found[1]}


def same_lesions(parts: Sequence[Segmentation]) -> list[Segmentation]:
    """Return segmentations whose numbers mean the same lesion in all of them, by name, from 1."""
    number_of: dict[str, int] = {}
    for part in parts:
        for name in part.lesion_names:
            number_of.setdefault(name, len(number_of) + 1)
    names = tuple(number_of)
    shared = []
    for part in parts:
        table = np.array([0, *(number_of[name] for name in part.lesion_names)], dtype=np.int32)
        shared.append(
            Segmentation(
                lesions=table[part.lesions],
                lesion_names=names,
                regions=part.regions,
                affine_ras_mm=part.affine_ras_mm,
            )
        )
    return shared


def _header(path: Path) -> Any:
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    wanted = ["Modality", "StudyInstanceUID", "ManufacturerModelName"]
    try:
        return dcmread(path, stop_before_pixels=True, specific_tags=wanted)
    except (InvalidDicomError, OSError, EOFError, ValueError):
        return None


def _category(seg: hd.seg.Segmentation, number: int) -> str:
    return seg.get_segment_description(number).segmented_property_category.value


def _is_called_lesion(label: str) -> bool:
    """Say whether a label names a lesion; "no lesion found" does not."""
    return "lesion" in label.lower().replace("no lesion", "")
