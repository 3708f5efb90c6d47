"""Folders of exams that somebody annotated: ours, DICOM with SEG, BIDS or nnU-Net raw; no image is read.

```
ours      DATA/[PATIENT/]EXAM/   t1.nii.gz ... (or a DICOM study), truth_lesions.nii.gz [truth_regions.nii.gz]
DICOM     DATA/[PATIENT/]EXAM/   a study's images, and segmentations (SEG) of the same study, in any folders
BIDS      DATA/sub-1/[ses-2/]    images; anywhere below DATA: sub-1[_ses-2]..._desc-lesions_dseg.nii.gz (or
                                 label-lesion_mask), optionally ..._desc-regions_dseg.nii.gz
nnU-Net   DATA/dataset.json      imagesTr/CASE_0000.nii.gz ..., labelsTr/CASE.nii.gz
```
A patient is the first folder below DATA, the BIDS subject or the nnU-Net case, unless `DATA/patients.csv`
(columns `exam` and `patient`) says otherwise.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from marrowmap.data.dicom_seg import find_segmentations
from marrowmap.data.errors import NoStudyError, StudyError
from marrowmap.data.nifti_names import ANNOTATION, stem_of
from marrowmap.data.seeds import require_training_seeds

LESIONS_FILE, REGIONS_FILE, PATIENTS_FILE = "truth_lesions.nii.gz", "truth_regions.nii.gz", "patients.csv"


@dataclass(frozen=True, kw_only=True)
class AnnotatedExam:
    """Where one annotated exam is.

    Attributes:
        name: Its folder below DATA, BIDS subject and session, or nnU-Net case.
        patient: Whose it is; exams of one patient are never in training and validation at once.
        study: What `read_exam` reads.
        case: Which case of `study`, empty for the only one.
        lesions: Label map of lesions; of a DICOM exam, its first SEG.
        segmentations: All SEGs of a DICOM exam; empty for the other layouts.
        lesion_values: Its values that are lesion; empty for all above 0.
        regions: Label map of skeletal regions, None where nobody drew them.
        files: Every file that the exam is made of, for its content's hash.
        seed: Of a simulated exam, else None.
    """

    name: str
    patient: str
    study: Path
    case: str = ""
    lesions: Path
    segmentations: tuple[Path, ...] = ()
    lesion_values: tuple[int, ...] = ()
    regions: Path | None = None
    files: tuple[Path, ...] = ()
    seed: int | None = None


def find_annotated(folder: Path) -> list[AnnotatedExam]:
    """Return the annotated exams of a folder, sorted by name.

    Raises:
        NoStudyError: If there is none.
        StudyError: If `dataset.json` or `patients.csv` cannot be used.
        SeedError: If a simulated exam of the validation or test set is among them.
    """
    if (folder / "dataset.json").is_file() and (folder / "labelsTr").is_dir():
        exams = _nnunet(folder)
    elif any(path.is_dir() for path in folder.glob("sub-*")):
        exams = _bids(folder)
    else:
        exams = [_ours(path, folder) for path in sorted(folder.rglob(LESIONS_FILE))] or _dicom(folder)
    if not exams:
        raise NoStudyError(
            f"no annotated exam in {folder}: need exam folders with {LESIONS_FILE}, DICOM studies with "
            "segmentations (SEG) that a person drew, a BIDS folder with ..._desc-lesions_dseg.nii.gz, or "
            "nnU-Net raw data with labelsTr"
        )
    require_training_seeds(exam.seed for exam in exams if exam.seed is not None)
    patients = _patients(folder / PATIENTS_FILE)
    named = [replace(exam, patient=patients.get(exam.name, exam.patient)) for exam in exams]
    return sorted(named, key=lambda exam: exam.name)


def _ours(lesions: Path, folder: Path) -> AnnotatedExam:
    place = lesions.parent
    parts = place.relative_to(folder).parts
    name = "/".join(parts) or place.name
    regions = place / REGIONS_FILE
    return AnnotatedExam(
        name=name,
        patient=parts[0] if parts else name,
        study=place,
        lesions=lesions,
        regions=regions if regions.is_file() else None,
        files=tuple(sorted(path for path in place.rglob("*") if path.is_file())),
        seed=_seed(place / "truth.json"),
    )


def _dicom(folder: Path) -> list[AnnotatedExam]:
    exams = []
    for uid, (images, segs) in find_segmentations(folder).items():
        place = Path(os.path.commonpath([path.parent for path in (*images, *segs)]))
        parts = place.relative_to(folder).parts
        # Studies side by side in one folder are told apart by their UID, shortened by a hash.
        name = "/".join(parts) if parts else hashlib.sha256(uid.encode()).hexdigest()[:12]
        exams.append(
            AnnotatedExam(
                name=name,
                patient=parts[0] if parts else name,
                study=place,
                case=uid,
                lesions=segs[0],
                segmentations=tuple(segs),
                files=(*images, *segs),
            )
        )
    return exams


def _seed(path: Path) -> int | None:
    """Return the seed of a simulated exam; one of the test set must never train anything."""
    if not path.is_file():
        return None
    try:
        seed = json.loads(path.read_text(encoding="utf-8")).get("seed")
    except (ValueError, AttributeError) as error:
        raise StudyError(f"truth.json in {path.parent.name} is damaged; write it again") from error
    return None if seed is None else int(seed)


def _bids(folder: Path) -> list[AnnotatedExam]:
    found: dict[str, dict[str, Path]] = {}
    for path in sorted(folder.rglob("sub-*.nii*")):
        what = ANNOTATION.search(stem_of(path).lower()) if path.is_file() else None
        if what:
            pairs = dict(part.split("-", 1) for part in path.name.split("_") if "-" in part)
            case = "_".join(f"{key}-{pairs[key]}" for key in ("sub", "ses") if key in pairs)
            found.setdefault(case, {})[what["what"]] = path
    exams = []
    for case, drawn in found.items():
        study = folder.joinpath(*case.split("_"))
        if "lesion" in drawn and study.is_dir():
            files = {path for path in study.rglob("*") if path.is_file()} | set(drawn.values())
            exams.append(
                AnnotatedExam(
                    name=case,
                    patient=case.split("_")[0],
                    study=study,
                    lesions=drawn["lesion"],
                    regions=drawn.get("region"),
                    files=tuple(sorted(files)),
                )
            )
    return exams


def _nnunet(folder: Path) -> list[AnnotatedExam]:
    values, images = _lesion_values(folder / "dataset.json"), folder / "imagesTr"
    exams = []
    for labels in sorted((folder / "labelsTr").glob("*.nii*")):
        case = stem_of(labels)
        exams.append(
            AnnotatedExam(
                name=case,
                patient=case,
                study=images,
                case=case,
                lesions=labels,
                lesion_values=values,
                files=(folder / "dataset.json", labels, *sorted(images.glob(f"{case}_{'[0-9]' * 4}.nii*"))),
            )
        )
    return exams


def _lesion_values(path: Path) -> tuple[int, ...]:
    """Return the labels that are lesion: those named so, or the only one.

    Raises:
        StudyError: If that cannot be told, or some voxels are labelled `ignore`.
    """
    try:
        labels = {
            str(name).lower(): int(value) for name, value in json.loads(path.read_text())["labels"].items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StudyError("dataset.json needs labels as name: number; repair it") from error
    if "ignore" in labels:
        raise StudyError("dataset.json has a label ignore, which is not supported; leave those exams out")
    foreground = {name: value for name, value in labels.items() if value > 0}
    lesions = [value for name, value in foreground.items() if "lesion" in name]
    if not lesions and len(foreground) != 1:
        raise StudyError(
            f"need one label named lesion in dataset.json, found {', '.join(foreground) or 'none'}; rename it"
        )
    return tuple(lesions or foreground.values())


def _patients(path: Path) -> Mapping[str, str]:
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows or not {"exam", "patient"} <= set(rows[0]):
        raise StudyError(f"{PATIENTS_FILE} needs the columns exam and patient; add a header line")
    return {row["exam"]: row["patient"] for row in rows}
