"""Which exams there are: a folder of studies, a list, or a query to a DICOMweb archive."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from marrowmap.data.errors import CohortError
from marrowmap.data.nifti import is_one_nifti_exam
from marrowmap.inference.cohort.settings import CohortSettings
from marrowmap.inference.node.peers import WebSettings

_LIST_COLUMNS = {"study", "study_uid", "person", "date"}
_PAGE = 500
#: An archive that never ends its pages is not asked for more than this.
_MOST_PAGES = 20_000


@dataclass(frozen=True, kw_only=True)
class StudySource:
    """Where one study is. Nothing of it reaches a table.

    Attributes:
        place: Folder or zip, or the archive's URL.
        study_uid: Which study, where the place holds several.
        person: Whose exam it is; empty leaves it to the DICOM header.
        date: When it was made, `YYYY-MM-DD`; empty leaves it to the DICOM header.
        instances: Number of its instances in an archive; None where it is no archive's, or unknown.
    """

    place: str
    study_uid: str = ""
    person: str = ""
    date: str = ""
    instances: int | None = None

    @property
    def is_remote(self) -> bool:
        """Whether the study must be fetched."""
        return is_url(self.place)

    @property
    def name(self) -> str:
        """What a clinical table may call it: the name of its folder."""
        return Path(self.place).name


def is_url(words: str) -> bool:
    """Return whether words name an archive."""
    return words.startswith(("http://", "https://"))


def list_studies(where: str, settings: CohortSettings) -> list[StudySource]:
    """Return the studies of a cohort, in a fixed order.

    Args:
        where: Folder whose sub-folders and zips are one study each; a `.csv` with a column `study` and, as
            wished, `study_uid`, `person` and `date`; any other file with one path a line; or the URL of a
            DICOMweb archive with the query behind it, `https://host/dicom-web?StudyDescription=WB*`.
        settings: How the archive is asked.

    Raises:
        CohortError: If there is none, or the list cannot be read.
    """
    if is_url(where):
        found = _of_archive(where, settings)
    elif Path(where).is_dir():
        found = _of_folder(Path(where))
    else:
        found = _of_list(Path(where))
    if not found:
        raise CohortError("no study found; need a folder of studies, a list, or a query that finds some")
    return found


def _of_folder(folder: Path) -> list[StudySource]:
    if is_one_nifti_exam(folder):
        raise CohortError(f"{folder.name} is one exam; name the folder above it, or use marrowmap infer")
    children = sorted(folder.iterdir())
    return [
        StudySource(place=str(child.resolve()))
        for child in children
        if not child.name.startswith(".") and (child.is_dir() or child.suffix.lower() == ".zip")
    ]


def _of_list(path: Path) -> list[StudySource]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise CohortError(f"cannot read the list of studies {path.name}: {reason}") from None
    if path.suffix.lower() == ".csv":
        return _of_csv(path, text)
    lines = (line.strip() for line in text.splitlines())
    return [_listed(path, {"study": line}) for line in lines if line and not line.startswith("#")]


def _of_csv(path: Path, text: str) -> list[StudySource]:
    reader = csv.DictReader(text.splitlines())
    columns = set(reader.fieldnames or ())
    if "study" not in columns or columns - _LIST_COLUMNS:
        raise CohortError(
            f"{path.name}: need the column study, and no other than study_uid, person and date; "
            f"found {', '.join(sorted(map(str, columns))) or 'none'}"
        )
    rows = ((number, row) for number, row in enumerate(reader, start=2) if row["study"])
    return [_listed(path, row, f"{path.name}, row {number}") for number, row in rows]


def _listed(path: Path, row: dict[str, str], where: str = "") -> StudySource:
    place = (path.parent / row["study"].strip()).resolve()
    study_uid, person, day = ((row.get(name) or "").strip() for name in ("study_uid", "person", "date"))
    try:
        if day:
            date.fromisoformat(day)
    except ValueError:
        raise CohortError(f"{where}: need a date as YYYY-MM-DD, found {day!r}") from None
    return StudySource(place=str(place), study_uid=study_uid, person=person, date=day)


def _of_archive(where: str, settings: CohortSettings) -> list[StudySource]:
    """Ask page by page; only MR studies, which is all that can be read."""
    from marrowmap.inference.node.dicomweb import WebArchive

    parts = urlsplit(where)
    url = f"{parts.scheme}://{parts.netloc}{parts.path.removesuffix('/studies')}"
    archive = WebArchive(web_settings(url, settings))
    filters = {"ModalitiesInStudy": "MR"} | dict(parse_qsl(parts.query))
    studies: dict[str, StudySource] = {}
    for page in range(_MOST_PAGES):
        answers = archive.studies(filters, limit=_PAGE, offset=page * _PAGE)
        fresh = [study for study in answers if study.uid not in studies]
        for study in fresh:
            studies[study.uid] = StudySource(place=url, study_uid=study.uid, instances=study.instances)
        # An archive that ignores the offset sends the same page for ever.
        if len(answers) < _PAGE or not fresh:
            break
    return [studies[uid] for uid in sorted(studies)]


def web_settings(url: str, settings: CohortSettings) -> WebSettings:
    """Return how an archive is spoken to.

    Raises:
        SettingsError: If the URL is none, or a secret is not there.
    """
    return WebSettings(
        url=url,
        user=settings.web_user,
        password_file=settings.web_password_file,
        token_file=settings.web_token_file,
    )
