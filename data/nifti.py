"""NIfTI in and out: a folder whose files are named by sequence.

`t1.nii.gz`, `t2`, `stir`, `dixon_in`, `dixon_out`, `dixon_fat`, `dixon_water`, `fat_fraction`,
`t1_contrast`, `adc`, `dwi_b50`, `dwi_b900` (any b; also `dwi_low`, `dwi_high`), each optionally with
`_station1`, `_station2` ...; `dwi.nii.gz` with four axes and `dwi.bval` beside it. BIDS endings
(`sub-1_T1w.nii.gz`, `sub-1_dwi.nii.gz`) and the channels of an nnU-Net `dataset.json` are read as the
same words.
"""

from __future__ import annotations

import json
import logging
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from nibabel.filebasedimages import ImageFileError
from nibabel.loadsave import load, save
from nibabel.nifti1 import Nifti1Image

from marrowmap.data.assembly import RoleVolume, assemble_exam
from marrowmap.data.errors import GeometryError, NoStudyError, StudyError
from marrowmap.data.exam import Affine, Array3D, Exam, Sequence, StudyInfo, Volume

_log = logging.getLogger(__name__)

_ENDINGS = (".nii.gz", ".nii")
_STATION = re.compile(r"[_-]?station[_-]?(\d+)$")
_B_VALUE = re.compile(r"^(?:dwi|trace)[_-]?b(\d+)$")
_SYNONYMS = {
    "t1w": "t1",
    "t2w": "t2",
    "t1_gd": "t1_contrast",
    "t1c": "t1_contrast",
    "fat": "dixon_fat",
    "water": "dixon_water",
    "in_phase": "dixon_in",
    "out_phase": "dixon_out",
    "opp_phase": "dixon_out",
    "ff": "fat_fraction",
}


@dataclass(frozen=True, kw_only=True)
class NamedFile:
    """A NIfTI file and what its name says.

    Attributes:
        path: The file.
        sequence: What it shows; None for diffusion with the b-value still to come from a `.bval` file.
        b_value_s_per_mm2: b from the name, if any.
        station: Station number, 0 without one.
    """

    path: Path
    sequence: Sequence | None
    b_value_s_per_mm2: float | None = None
    station: int = 0


def read_nifti(path: Path) -> tuple[npt.NDArray[np.float32], Affine]:
    """Read a NIfTI file.

    Args:
        path: `.nii` or `.nii.gz`.

    Returns:
        float32 array `(i, j, k)` or `(i, j, k, volume)`, scaled as the header says, and its RAS+ affine.

    Raises:
        StudyError: If the file is damaged or no NIfTI.
    """
    try:
        image: Any = load(path)
        array = np.asarray(image.get_fdata(dtype=np.float32, caching="unchanged"))
        return array, np.array(image.affine, dtype=np.float64)
    except (OSError, EOFError, ValueError, zlib.error, ImageFileError) as error:
        raise StudyError(f"cannot read {path.name} as NIfTI: the file is damaged or cut short") from error


def write_nifti(path: Path, array: npt.NDArray[Any], affine_ras_mm: Affine) -> None:
    """Write an array with its affine; booleans become uint8, the parent folder is made.

    Args:
        path: `.nii` or `.nii.gz` to write.
        array: `(i, j, k)`, float32 or an integer type that NIfTI knows.
        affine_ras_mm: 4 x 4, voxel index to RAS+ mm.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    data = array.astype(np.uint8) if array.dtype == np.bool_ else array
    image = Nifti1Image(data, affine_ras_mm)
    image.header.set_xyzt_units(xyz="mm")
    save(image, path)


def write_exam_nifti(exam: Exam, folder: Path) -> list[Path]:
    """Write every volume of an exam, named by sequence; `read_nifti_folder` reads them back.

    Args:
        exam: The exam.
        folder: Where to write; made if absent.

    Returns:
        The files written.
    """
    files = []
    for sequence, volume in exam.volumes.items():
        b_value = volume.b_value_s_per_mm2
        is_dwi = sequence in (Sequence.DWI_LOW, Sequence.DWI_HIGH) and b_value is not None
        path = folder / (f"dwi_b{b_value:.0f}.nii.gz" if is_dwi else f"{sequence}.nii.gz")
        write_nifti(path, volume.array, volume.affine_ras_mm)
        files.append(path)
    return files


def is_nifti_folder(path: Path) -> bool:
    """Say whether a folder holds at least one NIfTI file named by a sequence, in itself or below."""
    return path.is_dir() and bool(_named_files(path)[0])


def read_nifti_folder(path: Path) -> Exam:
    """Read a folder of NIfTI files named by sequence.

    Args:
        path: The folder; files below it count too (BIDS).

    Returns:
        The exam, stations composed, ADC in um2/s, fat fraction in [0, 1].

    Raises:
        NoStudyError: If no file has a known name.
        StudyError: If a file is damaged or below the minimum set.
    """
    named, unknown = _named_files(path)
    if not named:
        raise NoStudyError(
            f"no NIfTI file named by a sequence: found {', '.join(unknown[:5]) or 'none'}, "
            "need names such as t1.nii.gz, stir.nii.gz, dwi_b50.nii.gz, dwi_b900.nii.gz, adc.nii.gz"
        )
    for name in unknown:
        _log.warning("left out %s: its name is no sequence", name)
    volumes = [role for file in named for role in _role_volumes(file)]
    return assemble_exam(volumes, StudyInfo(), ())


def _named_files(path: Path) -> tuple[list[NamedFile], list[str]]:
    """Return the files with a known name, by station, and the names of the others."""
    channels = _nnunet_channels(path)
    named, unknown = [], []
    for file in sorted(p for p in path.rglob("*") if p.name.lower().endswith(_ENDINGS)):
        known = _named(file, channels)
        if known:
            named.append(known)
        else:
            unknown.append(file.name)
    return sorted(named, key=lambda f: f.station), unknown


def _nnunet_channels(path: Path) -> Mapping[str, str]:
    """Return nnU-Net's channel words by their four digits, empty without a `dataset.json`."""
    for folder in (path, path.parent):
        description = folder / "dataset.json"
        if description.is_file():
            try:
                names = json.loads(description.read_text())["channel_names"]
                return {f"{int(number):04d}": str(name).lower() for number, name in names.items()}
            except (ValueError, KeyError, AttributeError) as error:
                raise StudyError(
                    f"{description.name} has no readable channel_names; repair or remove it"
                ) from error
    return {}


def _named(file: Path, channels: Mapping[str, str]) -> NamedFile | None:
    """Return what a file's name says, None if it says nothing known."""
    stem = next(file.name[: -len(e)] for e in _ENDINGS if file.name.lower().endswith(e)).lower()
    if stem[-4:] in channels:
        stem = channels[stem[-4:]]
    station = _STATION.search(stem)
    number = int(station.group(1)) if station else 0
    stem = _STATION.sub("", stem)
    # A BIDS name ends in its suffix; ours is the whole stem.
    for word in (stem, stem.rsplit("_", 1)[-1] if stem.startswith("sub-") else stem):
        word = _SYNONYMS.get(word, word)
        b_value = _B_VALUE.match(word)
        if b_value:
            return NamedFile(
                path=file, sequence=None, b_value_s_per_mm2=float(b_value.group(1)), station=number
            )
        if word == "dwi":
            return NamedFile(path=file, sequence=None, station=number)
        if word in set(Sequence):
            return NamedFile(path=file, sequence=Sequence(word), station=number)
    return None


def _role_volumes(file: NamedFile) -> list[RoleVolume]:
    """Read one file as the volumes that it holds: one, or one per b-value."""
    array, affine = read_nifti(file.path)
    if array.ndim == 4 and array.shape[3] == 1:
        array = array[..., 0]
    if file.sequence is None and file.b_value_s_per_mm2 is None:
        return _diffusion_volumes(file, array, affine)
    if array.ndim != 3:
        raise GeometryError(f"{file.path.name} has {array.ndim} axes, need three (four only for dwi.nii.gz)")
    return [_role_volume(file, array, affine)]


def _role_volume(file: NamedFile, array: Array3D, affine: Affine) -> RoleVolume:
    """Return one 3-D array under the file's role."""
    volume = Volume(array=array, affine_ras_mm=affine, b_value_s_per_mm2=file.b_value_s_per_mm2)
    return RoleVolume(sequence=file.sequence, volume=volume, name=file.path.name)


def _diffusion_volumes(file: NamedFile, array: npt.NDArray[np.float32], affine: Affine) -> list[RoleVolume]:
    """Return the volumes of a four-axis diffusion file with the b-values of its `.bval` neighbour.

    Raises:
        StudyError: If the neighbour is absent or does not fit.
    """
    stem = next(file.path.name[: -len(e)] for e in _ENDINGS if file.path.name.lower().endswith(e))
    table = file.path.with_name(stem + ".bval")
    volumes = array[..., None] if array.ndim == 3 else array
    try:
        b_values = [float(word) for word in table.read_text().split()]
    except (OSError, ValueError):
        b_values = []
    if len(b_values) != volumes.shape[3]:
        raise StudyError(
            f"{file.path.name} needs {volumes.shape[3]} b-values in {table.name}, found {len(b_values)}; "
            "write the file, or name volumes by b-value (dwi_b50.nii.gz, dwi_b900.nii.gz)"
        )
    return [
        _role_volume(replace(file, b_value_s_per_mm2=b), np.ascontiguousarray(volumes[..., n]), affine)
        for n, b in enumerate(b_values)
    ]
