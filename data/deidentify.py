"""A study without its person: PS3.15's basic profile, with geometry, b-values and roles kept.

The tables and actions of the profile are those of dicom-anonymizer; they are applied here to sequence items
too. Vendors' private elements go, but for a few numbers that PS3.15's Retain Safe Private Option knows and
without which the images would be read wrong. b-values move to the public tag first.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset

from marrowmap.data.b_values import find_b_value, find_directionality
from marrowmap.data.errors import MarrowmapError, StudyError
from marrowmap.data.exam import ExamWarning, Sequence
from marrowmap.data.headers import Header, Source, tolerant
from marrowmap.data.safe_private import safe_private_of
from marrowmap.data.selection import Choices, Part, parts_of
from marrowmap.data.study import Study, open_study
from marrowmap.data.tags import positive, whole

_log = logging.getLogger(__name__)
Actions = dict[tuple[int, ...], Callable[[Dataset, tuple[int, int]], None]]

#: The newest edition of PS3.15 table E.1-1 that the library carries.
_PROFILE_EDITION = "dicomfields_2026c"
#: Overlays and curves may hold text burned in by a viewer.
_OVERLAYS, _CURVES = range(0x6000, 0x6100), range(0x5000, 0x5100)
_FACE = ExamWarning(
    code="face_visible",
    text="names and dates are gone, but a whole-body image can show a face: treat the study as a person's, "
    "and do not publish it without removing the face",
)


@dataclass(frozen=True, kw_only=True)
class Deidentified:
    """What was written.

    Attributes:
        files: Files written.
        left_out: Files not written, by reason.
        warnings: That a face can be seen.
    """

    files: tuple[Path, ...]
    left_out: dict[str, int]
    warnings: tuple[ExamWarning, ...] = (_FACE,)


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """What one file must keep.

    Attributes:
        series: Number of its series in the new study, from 1.
        description: What its series shows, in our own words.
        b_value_s_per_mm2: b, None where it has none.
    """

    series: int
    description: str
    b_value_s_per_mm2: float | None = None


def deidentify_study(path: Path, out: Path, study_uid: str = "") -> Deidentified:
    """Write the MR images of one study without what identifies the person.

    Args:
        path: DICOM folder or zip.
        out: Folder to make; written whole or not at all.
        study_uid: Study Instance UID, needed where the path holds several studies.

    Returns:
        What was written and what was left out: everything but MR images, and images with burned-in text.

    Raises:
        NoStudyError: If nothing readable is there, or several studies and none named.
        StudyError: If `out` is not empty, or a file cannot be read whole.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise StudyError(f"need an empty folder to write to, found {out.name} in use; name another")
    study = open_study(path, Choices(), study_uid)
    plans, left_out = _plans(study)
    out.parent.mkdir(parents=True, exist_ok=True)
    # Built beside its place and moved there whole: a half-written study looks like a whole one.
    partial = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        names = _write_all(plans, partial, left_out)
        if out.exists():
            out.rmdir()
        os.replace(partial, out)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return Deidentified(files=tuple(out / name for name in names), left_out=dict(left_out))


def _plans(study: Study) -> tuple[list[tuple[Header, _Plan]], dict[str, int]]:
    """Return every file to write with what it must keep, and how many are left out, by reason."""
    plans: list[tuple[Header, _Plan]] = []
    left_out: dict[str, int] = defaultdict(int)
    for number, series in enumerate(study.series, start=1):
        if series.modality != "MR":
            left_out[f"{series.modality}, not MR images"] += series.files
            continue
        parts = parts_of(series, Choices())
        description = _description(parts)
        planned: dict[int, tuple[Header, _Plan]] = {}
        for part in parts:
            for one in (one for stack in part.stacks for one in stack.slices):
                b_value = part.role.b_value_s_per_mm2
                plan = _Plan(series=number, description=description, b_value_s_per_mm2=b_value)
                planned[id(one.header)] = (one.header, plan)
        plans += planned.values()
        if series.files > len(planned):
            left_out["images that could not be piled up"] += series.files - len(planned)
    return plans, left_out


def _description(parts: Iterable[Part]) -> str:
    """Return what a series shows, in our own words: a written description may hold a name."""
    roles = [part.role for part in parts]
    if any(role.b_value_s_per_mm2 is not None for role in roles):
        return "dwi"
    kinds = {role.sequence for role in roles if role.sequence is not None}
    if not kinds:
        return "localizer" if any("localizer" in role.reason for role in roles) else "other"
    if kinds <= {Sequence.FAT_FRACTION}:
        return "dixon fat fraction"
    return str(kinds.pop()).replace("_", " ") if len(kinds) == 1 else "dixon"


def _write_all(plans: list[tuple[Header, _Plan]], folder: Path, left_out: dict[str, int]) -> list[Path]:
    """Write every planned file; return their names below the folder."""
    actions = _profile_actions()
    names: list[Path] = []
    counts: dict[int, int] = defaultdict(int)
    for header, plan in plans:
        dataset = _stripped(header.source, plan, actions)
        if dataset is None:
            left_out["images with burned-in text"] += 1
            continue
        counts[plan.series] += 1
        name = Path(f"series_{plan.series:03d}") / f"{counts[plan.series]:05d}.dcm"
        (folder / name).parent.mkdir(exist_ok=True)
        with tolerant(), _one_line("write"):
            dataset.save_as(folder / name, enforce_file_format=True)
        names.append(name)
    return names


@contextmanager
def _one_line(doing: str) -> Iterator[None]:
    """Turn whatever a damaged file raises into one line: pydicom converts values late, and raises anything.

    Raises:
        StudyError: If the file cannot be read or written whole.
    """
    try:
        yield
    except MarrowmapError:
        raise
    except Exception as error:
        text = f"cannot {doing} a file whole ({type(error).__name__}); copy the study again"
        raise StudyError(text) from error


def _stripped(source: Source, plan: _Plan, actions: Actions) -> Dataset | None:
    """Return a file without its person, None where text is burned into its pixels.

    Raises:
        StudyError: If it cannot be read whole.
    """
    with _one_line("read"):
        dataset = _whole(source)
        if str(dataset.get("BurnedInAnnotation", "")).upper() == "YES":
            return None
        _strip(dataset, plan, actions)
    return dataset


def _profile_actions() -> Actions:
    """Return what the basic profile does, by tag."""
    from dicomanonymizer.simpledicomanonymizer import initialize_actions

    return initialize_actions(_PROFILE_EDITION)


def _whole(source: Source) -> Dataset:
    """Return a whole file.

    Raises:
        StudyError: If its pixels are cut short; whatever pydicom raises comes through.
    """
    with tolerant(), source.open() as stream:
        dataset = pydicom.dcmread(stream)
        dataset.decode()
    if dataset.file_meta.TransferSyntaxUID.is_compressed or "PixelData" not in dataset:
        return dataset
    voxels = (
        positive(dataset, "Rows") * positive(dataset, "Columns") * (whole(dataset, "NumberOfFrames") or 1)
    )
    if len(dataset.PixelData) < voxels * positive(dataset, "BitsAllocated") // 8:
        raise StudyError("pixels cut short in one file; copy the study again")
    return dataset


def _strip(dataset: Dataset, plan: _Plan, actions: Actions) -> None:
    """Take the person out of one file, in place."""
    with tolerant():
        kept = safe_private_of(dataset)
        _promote_b_value(dataset, plan)
        dataset.remove_private_tags()
        _apply(dataset, actions)
        kept.put_back(dataset)
    dataset.SeriesDescription = plan.description
    dataset.PatientName = dataset.PatientID = "ANONYMIZED"
    dataset.PatientIdentityRemoved = "YES"
    dataset.LongitudinalTemporalInformationModified = "REMOVED"
    dataset.DeidentificationMethod = "PS3.15 basic profile; safe private numbers kept"
    dataset.DeidentificationMethodCodeSequence = [
        _code("113100", "Basic Application Confidentiality Profile"),
        _code("113111", "Retain Safe Private Option"),
    ]
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = dataset.file_meta.TransferSyntaxUID
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta, dataset.preamble = meta, bytes(128)


def _promote_b_value(dataset: Dataset, plan: _Plan) -> None:
    """Write the b-value and what is known of its direction where every reader looks."""
    if dataset.get("PerFrameFunctionalGroupsSequence"):
        return
    found = find_b_value(dataset)
    b_value = plan.b_value_s_per_mm2
    if b_value is None and found is not None and found.s_per_mm2 > 0:
        b_value = found.s_per_mm2
    if b_value is None:
        return
    direction = find_directionality(dataset)
    dataset.DiffusionBValue = float(b_value)
    if direction:
        dataset.DiffusionDirectionality = "ISOTROPIC" if direction == "trace" else "DIRECTIONAL"


def _apply(dataset: Dataset, actions: Actions) -> None:
    """Apply the profile to a data set and to the items of the sequences that remain, in place."""
    for element in list(dataset):
        if element.tag.group in _OVERLAYS or element.tag.group in _CURVES:
            del dataset[element.tag]
            continue
        tag = (element.tag.group, element.tag.element)
        action = actions.get(tag)
        if action is not None:
            action(dataset, tag)
        if element.VR == "SQ" and element.tag in dataset:
            for item in dataset[element.tag].value:
                _apply(item, actions)


def _code(value: str, meaning: str) -> Dataset:
    """Return a DICOM code."""
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, "DCM", meaning
    return code
