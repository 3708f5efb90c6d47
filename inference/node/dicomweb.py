"""An archive that speaks DICOMweb: STOW-RS, QIDO-RS, WADO-RS."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, TypeVar

import pydicom
import requests
from dicomweb_client.web import DICOMwebClient
from pydicom.dataset import Dataset

from marrowmap.data.errors import ArchiveError
from marrowmap.inference.node.archive import Accept, RemoteStudy
from marrowmap.inference.node.intake import OUR_MODEL_NAME
from marrowmap.inference.node.peers import WebSettings

T = TypeVar("T")
Answer = dict[str, Any]

#: Below this a request goes out in one piece: not every archive understands a chunked one.
_ONE_PIECE = 1 << 31
#: A series is read in such pieces.
_READ_BYTES = 1 << 20
_ANY_SYNTAX = (("application/dicom", "*"),)


class WebArchive:
    """The archive."""

    def __init__(self, settings: WebSettings) -> None:
        """Connect to nothing yet."""
        self.settings = settings
        self._where = settings.url

    def store(self, paths: Sequence[Path]) -> Iterator[Path]:
        """Store files by STOW-RS, yielding each when the archive has it."""
        client = self._client()
        for path in paths:
            dataset = pydicom.dcmread(path)
            answer = self._asked(lambda dataset=dataset: client.store_instances([dataset]))
            stored = {
                str(item.ReferencedSOPInstanceUID) for item in answer.get("ReferencedSOPSequence") or ()
            }
            if dataset.SOPInstanceUID not in stored:
                failed = answer.get("FailedSOPSequence")
                reason = f"0x{int(failed[0].FailureReason):04X}" if failed else "no reason given"
                raise ArchiveError(f"the archive does not store {path.name}: {reason}")
            yield path

    def find(self, patient_id: str) -> list[RemoteStudy]:
        """Return the studies of a patient by QIDO-RS."""
        return self.studies({"PatientID": patient_id}, patient_id=patient_id)

    def studies(
        self, filters: dict[str, str], *, limit: int | None = None, offset: int = 0, patient_id: str = ""
    ) -> list[RemoteStudy]:
        """Return the studies that match; with a patient's identifier, of exactly this patient."""
        client = self._client()
        fields = [
            "ModalitiesInStudy", "NumberOfStudyRelatedInstances", "PatientBirthDate", "StudyTime",
            "StudyDescription",
        ]  # fmt: skip
        answers = self._asked(
            lambda: client.search_for_studies(
                search_filters=filters, fields=fields, limit=limit, offset=offset or None
            )
        )
        # An archive that matches loosely must not bring another patient's exam.
        same = [answer for answer in answers if patient_id in ("", _value(answer, "00100020").strip())]
        return [_remote_study(answer) for answer in same if _value(answer, "0020000D")]

    def fetch(self, study_uid: str, accept: Accept) -> None:
        """Fetch the MR instances of a study by WADO-RS, series by series."""
        client = self._client()
        client.set_chunk_size(_READ_BYTES)
        for uid in (_value(answer, "0020000E") for answer in self._mr_series(study_uid)):
            stream = self._asked(
                lambda uid=uid: iter(client.iter_series(study_uid, uid, media_types=_ANY_SYNTAX))
            )
            while (dataset := self._asked(lambda stream=stream: next(stream, None))) is not None:
                accept(_encoded(dataset))

    def count_mr(self, study_uid: str) -> int | None:
        """Return the number of MR instances of a study, None where the archive does not say."""
        counts = [_value(answer, "00201209") for answer in self._mr_series(study_uid)]
        return sum(map(int, counts)) if all(counts) else None

    def _mr_series(self, study_uid: str) -> list[Answer]:
        client, filters = self._client(), {"Modality": "MR"}
        fields = ["NumberOfSeriesRelatedInstances", "SeriesDescription"]
        series = self._asked(
            lambda: client.search_for_series(study_uid, search_filters=filters, fields=fields)
        )
        # Our own composed series need not be fetched to be let go.
        return [one for one in series if not _value(one, "0008103E").startswith(OUR_MODEL_NAME)]

    def _client(self) -> DICOMwebClient:
        settings, session = self.settings, requests.Session()
        # No proxy and no password that the environment or a .netrc names.
        session.trust_env = False
        if settings.tls:
            session.verify = str(settings.tls.authorities)
            session.cert = (str(settings.tls.certificate), str(settings.tls.key))
        if settings.user and settings.password_file:
            session.auth = (settings.user, _first_line(settings.password_file))
        if settings.token_file:
            session.headers["Authorization"] = f"Bearer {_first_line(settings.token_file)}"
        connect_s = min(10.0, settings.timeout_s)
        client = DICOMwebClient(
            settings.url, session, chunk_size=_ONE_PIECE, timeout=(connect_s, settings.timeout_s)
        )
        client.set_http_retry_params(retry=False)  # the queue does that, and survives a restart
        return client

    def _asked(self, question: Callable[[], T]) -> T:
        """Ask.

        Raises:
            ArchiveError: Without the words of the library, whose URLs may hold a patient's identifier.
        """
        try:
            return question()
        except requests.HTTPError as error:
            code = error.response.status_code if error.response is not None else "none"
            raise ArchiveError(f"{self._where} answers with HTTP status {code}") from None
        except requests.RequestException as error:
            raise ArchiveError(f"{self._where} does not answer ({type(error).__name__})") from None
        except (ValueError, KeyError, OSError) as error:
            raise ArchiveError(f"{self._where} answers in an unknown way ({type(error).__name__})") from None


def _first_line(path: Path) -> str:
    return path.read_text(encoding="utf-8").partition("\n")[0].strip()


def _encoded(dataset: Dataset) -> bytes:
    buffer = BytesIO()
    pydicom.dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


def _value(answer: Answer, tag: str) -> str:
    values = (answer.get(tag) or {}).get("Value") or [""]
    return str(values[0])


def _remote_study(answer: Answer) -> RemoteStudy:
    count = _value(answer, "00201208")
    modalities = (answer.get("00080061") or {}).get("Value") or ()
    return RemoteStudy(
        uid=_value(answer, "0020000D"),
        when=_value(answer, "00080020") + _value(answer, "00080030").partition(".")[0],
        birth_date=_value(answer, "00100030"),
        description=_value(answer, "00081030"),
        modalities=frozenset(modalities),
        instances=int(count) if count else None,
    )
