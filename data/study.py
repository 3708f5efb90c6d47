"""A path -> one DICOM study: its series split, their roles decided, where it came from."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from marrowmap.data.errors import NoStudyError
from marrowmap.data.exam import ExamWarning, StudyInfo
from marrowmap.data.facts import plain_text
from marrowmap.data.header_quality import header_warnings
from marrowmap.data.headers import Header, read_headers, tolerant
from marrowmap.data.selection import Choices, Part, check_named, parts_of, select
from marrowmap.data.sequences import is_localizer
from marrowmap.data.series import Series, group_series


@dataclass(frozen=True, kw_only=True)
class Study:
    """One DICOM study.

    Attributes:
        info: Where it came from.
        series: Every series, split into stacks.
        parts: Every part with its role; the ones left out say why.
        passed_over: Number of files that are not DICOM.
        warnings: MR series that could not be piled up; contrast given; a body part that is not the trunk.
    """

    info: StudyInfo
    series: tuple[Series, ...]
    parts: tuple[Part, ...]
    passed_over: int = 0
    warnings: tuple[ExamWarning, ...] = ()


def open_study(path: Path, choices: Choices, study_uid: str) -> Study:
    """Read the headers of one study and decide what every series is.

    Args:
        path: A DICOM folder of any depth, a zip of one, or one file.
        choices: Series that the user names for a sequence.
        study_uid: Study Instance UID, needed where the path holds several studies.

    Returns:
        The study.

    Raises:
        NoStudyError: If nothing readable is there, or several studies and none named.
        SettingsError: If the user names a series that is not there.
        StudyError: If a series named for diffusion or Dixon is neither.
    """
    headers, passed_over = read_headers(path)
    with tolerant():
        headers = _one_study(headers, study_uid)
        series = group_series(headers)
        choices.check(series)
        parts = [part for s in series for part in parts_of(s, choices)]
        check_named(parts, choices)
        first = next((h for h in headers if h.dataset.get("Modality") == "MR"), headers[0])
        info = _study_info(first.dataset)
    problems = tuple(
        ExamWarning(code="series_incomplete", text=f"left out of {s.name}: {problem}")
        for s in series
        for problem in s.problems
        if s.modality == "MR" and not is_localizer(plain_text(s.description))
    )
    chosen = tuple(select(parts))
    return Study(
        info=info,
        series=tuple(series),
        parts=chosen,
        passed_over=passed_over,
        warnings=(*problems, *header_warnings(chosen)),
    )


def _one_study(headers: list[Header], study_uid: str) -> list[Header]:
    """Return the headers of one study.

    Raises:
        NoStudyError: If there are several and none is named, or the named one is not there.
    """
    studies: dict[str, list[Header]] = defaultdict(list)
    for header in headers:
        studies[str(header.dataset.get("StudyInstanceUID") or "")].append(header)
    # A file cut short in its header names no study: it is told as a problem of the one that is there.
    strays = studies.pop("", []) if len(studies) > 1 else []
    if len(studies) == 1:
        next(iter(studies.values())).extend(strays)
    if study_uid and study_uid not in studies:
        raise NoStudyError(f"no study {study_uid}; found {', '.join(sorted(studies))}")
    if len(studies) > 1 and not study_uid:
        raise NoStudyError(
            f"found {len(studies)} studies, need one: {_listed(studies)}; name a folder with one, or its UID "
            "with --study-uid"
        )
    chosen = studies[study_uid] if study_uid else next(iter(studies.values()))
    people = {str(h.dataset.get("PatientID") or "") for h in chosen}
    if len(people - {""}) > 1:
        raise NoStudyError(
            f"found {len(people)} patients under one Study Instance UID; export one patient's study alone"
        )
    return chosen


def _listed(studies: dict[str, list[Header]]) -> str:
    """Return up to five studies by UID, date and number of files."""
    words = [
        f"{uid} of {_iso_date(members[0].dataset.get('StudyDate')) or 'unknown date'} ({len(members)} files)"
        for uid, members in sorted(studies.items())
    ]
    return "; ".join(words[:5]) + (" ..." if len(words) > 5 else "")


def _iso_date(value: object) -> str:
    """Return a DICOM date as `YYYY-MM-DD`, empty if it is none or a dummy of the year 1."""
    text = str(value or "")
    is_date = len(text) == 8 and text.isdigit() and text >= "1900"
    return f"{text[:4]}-{text[4:6]}-{text[6:8]}" if is_date else ""


def _study_info(dataset: Dataset) -> StudyInfo:
    """Return where the exam came from, without name or identifier."""
    sex = str(dataset.get("PatientSex") or "").upper()
    strength = dataset.get("MagneticFieldStrength")
    return StudyInfo(
        study_instance_uid=str(dataset.get("StudyInstanceUID") or ""),
        study_date=_iso_date(dataset.get("StudyDate")),
        vendor=str(dataset.get("Manufacturer") or "").strip(),
        # Some write gauss or millitesla.
        field_strength_t=_tesla(strength),
        patient_sex=sex if sex in ("M", "F") else None,
        patient_age_years=_age_years(dataset),
        stature_m=_stature_m(dataset.get("PatientSize")),
    )


def _tesla(value: Any) -> float | None:
    """Return a field strength in tesla, whether it was written in tesla, millitesla or gauss."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if 0 < number < 20 else number / 1000 if number < 10_000 else number / 10_000


def _stature_m(value: Any) -> float | None:
    """Return a person's height in m, None for what nobody measures; some write cm."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    number = number / 100 if number > 3 else number
    return number if 0.4 <= number <= 2.5 else None


def _age_years(dataset: Dataset) -> float | None:
    """Return the age at the study, from the age or from the birth date."""
    text = str(dataset.get("PatientAge") or "").strip()
    units = {"Y": 1.0, "M": 1 / 12, "W": 7 / 365.25, "D": 1 / 365.25}
    if len(text) >= 2 and text[-1] in units and text[:-1].isdigit():
        return round(int(text[:-1]) * units[text[-1]], 2)
    birth, study = _iso_date(dataset.get("PatientBirthDate")), _iso_date(dataset.get("StudyDate"))
    if not birth or not study:
        return None
    try:
        days = np.datetime64(study) - np.datetime64(birth)
    except ValueError:
        return None
    years = float(days / np.timedelta64(1, "D")) / 365.25
    return round(years, 2) if 0 <= years < 130 else None
