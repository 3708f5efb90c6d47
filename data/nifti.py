"""NIfTI in and out: volumes with their affine, and folders whose files say in their names what they show."""

from __future__ import annotations

import logging
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from marrowmap.data.assembly import RoleVolume, assemble_exam
from marrowmap.data.errors import GeometryError, NoStudyError, StudyError
from marrowmap.data.exam import Affine, Array3D, Exam, Sequence, StudyInfo, Volume
from marrowmap.data.nifti_names import NamedFile, named_files, stem_of

_log = logging.getLogger(__name__)


def read_nifti(path: Path) -> tuple[npt.NDArray[np.float32], Affine]:
    """Read a NIfTI file.

    Args:
        path: `.nii` or `.nii.gz`.

    Returns:
        float32 array `(i, j, k)` or `(i, j, k, volume)`, scaled as the header says, and its RAS+ affine.

    Raises:
        StudyError: If the file is damaged or no NIfTI.
    """
    # Here and not above: nibabel costs as much to import as a study of 1,000 files to read.
    from nibabel.filebasedimages import ImageFileError
    from nibabel.loadsave import load

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
    from nibabel.loadsave import save
    from nibabel.nifti1 import Nifti1Image

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
    return path.is_dir() and bool(named_files(path)[0])


def is_one_nifti_exam(path: Path) -> bool:
    """Say whether a folder is one exam in NIfTI: named files of one case, no volume of it in two folders."""
    named = named_files(path)[0] if path.is_dir() else []
    return len({file.case for file in named}) == 1 and len(_folders_of_one_volume(named)) == 1


def _folders_of_one_volume(named: list[NamedFile]) -> list[Path]:
    """Return the folders whose files say that they are the same volume of the same exam.

    Stations are numbered in the name, so two such files belong to two exams (or to one exam twice).
    """
    folders: dict[Any, set[Path]] = {}
    for file in named:
        what = (file.case, file.sequence, file.b_value_s_per_mm2, file.station)
        folders.setdefault(what, set()).add(file.path.parent)
    return sorted(max(folders.values(), key=len, default=set()))


def read_nifti_folder(path: Path, case: str = "") -> Exam:
    """Read a folder of NIfTI files whose names say what they show (see `nifti_names`).

    Args:
        path: The folder; files below it count too.
        case: Which subject (`sub-1`, `sub-1_ses-2`) or nnU-Net case, where there are several.

    Returns:
        The exam, stations composed, ADC in um2/s, fat fraction in [0, 1].

    Raises:
        NoStudyError: If no file has a known name, or several exams are there and none is named.
        StudyError: If a file is damaged or below the minimum set.
    """
    named, unknown = named_files(path)
    if not named:
        raise NoStudyError(
            f"no NIfTI file named by a sequence: found {', '.join(unknown[:5]) or 'none'}, "
            "need names such as t1.nii.gz, stir.nii.gz, dwi_b50.nii.gz, dwi_b900.nii.gz, adc.nii.gz"
        )
    for name in unknown:
        _log.warning("left out %s: its name is no sequence", name)
    chosen = _of_one_case(named, case)
    return assemble_exam((role for file in chosen for role in _role_volumes(file)), StudyInfo(), ())


def _of_one_case(named: list[NamedFile], case: str) -> list[NamedFile]:
    """Return the files of the case that is asked for, or of the only one.

    Raises:
        NoStudyError: If it is not there, several are and none is named, or two folders hold the same volume.
    """
    cases = sorted({file.case for file in named})
    listed = _first_five(cases)
    if case and case.lower() not in cases:
        raise NoStudyError(f"no case {case}; found {listed or 'one exam without a case name'}")
    if len(cases) > 1 and not case:
        raise NoStudyError(
            f"found {len(cases)} cases, need one: {listed}; name the folder of one, or the case with "
            "--study-uid"
        )
    ours = [file for file in named if not case or file.case == case.lower()]
    folders = _folders_of_one_volume(ours)
    if len(folders) > 1:
        found = _first_five(["/".join(folder.parts[-2:]) for folder in folders])
        raise NoStudyError(
            f"found the same volume in {len(folders)} folders, need one exam: {found}; name one of them"
        )
    return ours


def _first_five(words: list[str]) -> str:
    return ", ".join(words[:5]) + (" ..." if len(words) > 5 else "")


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
    table = file.path.with_name(stem_of(file.path) + ".bval")
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
