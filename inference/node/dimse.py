"""An archive that speaks DIMSE: C-STORE, C-FIND, C-GET, C-MOVE."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom import AE, build_role, evt
from pynetdicom.association import Association
from pynetdicom.events import Event
from pynetdicom.presentation import build_context
from pynetdicom.sop_class import (  # pyright: ignore[reportMissingTypeStubs]
    StudyRootQueryRetrieveInformationModelFind,  # type: ignore[attr-defined]  # made at run time
    StudyRootQueryRetrieveInformationModelGet,  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelMove,  # type: ignore[attr-defined]
)
from pynetdicom.transport import AssociationSocket

from marrowmap.data.errors import ArchiveError
from marrowmap.inference.node.archive import Accept, RemoteStudy
from marrowmap.inference.node.intake import SOURCE_CLASSES, Intake
from marrowmap.inference.node.peers import DimseSettings
from marrowmap.inference.node.tls import client_context

SUCCESS = 0x0000
_PENDING = (0xFF00, 0xFF01)
#: Without it every message waits for the peer's delayed acknowledgement: 45 ms each, ten times slower.
NO_DELAY = (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def on_open(event: Event) -> None:
    """Switch Nagle's algorithm off on a new connection."""
    transport: Any = event.assoc.dul.socket
    if transport is not None and transport.socket is not None:
        transport.socket.setsockopt(*NO_DELAY)
        transport.raw_socket = transport.socket


def on_close(event: Event) -> None:
    """Close what pynetdicom leaves open where the peer was the first to go."""
    raw_socket = getattr(event.assoc.dul.socket, "raw_socket", None)
    if raw_socket is not None:
        raw_socket.close()


#: Both sides of every connection want these.
CONNECTION_HANDLERS: list[Any] = [(evt.EVT_CONN_OPEN, on_open), (evt.EVT_CONN_CLOSE, on_close)]


class Caller(AE):
    """An application entity that calls, and leaves no socket open where nobody answers."""

    raw_socket: socket.socket | None = None

    def _create_socket(self, *arguments: Any, **named: Any) -> AssociationSocket:
        made = super()._create_socket(*arguments, **named)
        self.raw_socket = made.socket
        return made

    def hang_up(self) -> None:
        """Close what is still open."""
        if self.raw_socket is not None:
            self.raw_socket.close()


class Turn(threading.Event):
    """Whose turn it is to read answers: ours, or that of the association's own thread.

    pynetdicom's flag for this has a race: its thread may still be on its way through a turn that has
    ended, takes the answer that we wait for, and we wait until the timeout. It happens about once in a
    hundred messages on a busy machine.
    """

    def __init__(self, association: Association) -> None:
        """Take the place of the association's flag."""
        super().__init__()
        self._association = association
        self._has_stopped, self._lock = threading.Event(), threading.Lock()
        before, association._reactor_checkpoint = association._reactor_checkpoint, self
        before.set()

    def ours(self) -> None:
        """Return when the other thread has stopped for certain, or has ended."""
        self.clear()
        while not self._has_stopped.wait(0.02) and self._association.is_alive():
            pass

    def set(self) -> None:
        """Let the other thread go on."""
        with self._lock:
            self._has_stopped.clear()
            super().set()

    def wait(self, timeout: float | None = None) -> bool:
        """Stop the other thread, which calls this, until it may go on."""
        with self._lock:
            if not self.is_set():
                self._has_stopped.set()
        return super().wait(timeout)


class DimseArchive:
    """The archive."""

    def __init__(self, settings: DimseSettings, own_ae_title: str, intake: Intake | None = None) -> None:
        """Connect to nothing yet.

        Args:
            settings: Where it is.
            own_ae_title: Who we are.
            intake: Where instances arrive that were asked for by C-MOVE.
        """
        self._settings, self._own, self._intake = settings, own_ae_title, intake
        self._tls = client_context(settings.tls) if settings.tls else None

    def store(self, paths: Sequence[Path]) -> Iterator[Path]:
        """Store files by C-STORE, yielding each when the archive has it."""
        kinds = {path: _kind(path) for path in paths}
        contexts = [build_context(*kind) for kind in dict.fromkeys(kinds.values())]
        with self._association(contexts) as (association, turn):
            for path, (sop_class, _) in kinds.items():
                turn.ours()
                try:
                    status = association.send_c_store(path)
                except (ValueError, RuntimeError):
                    raise ArchiveError(f"the archive takes no {UID(sop_class).name}, or went away") from None
                code = status.get("Status")
                # 0xBxxx is a warning: stored, with something coerced.
                if code is None or not (code == SUCCESS or code >> 12 == 0xB):
                    raise ArchiveError(f"the archive does not store {path.name}: {_words(code)}")
                yield path

    def find(self, patient_id: str) -> list[RemoteStudy]:
        """Return the studies of a patient by C-FIND."""
        query = Dataset()
        query.QueryRetrieveLevel = "STUDY"
        query.PatientID = patient_id
        for keyword in ("StudyInstanceUID", "StudyDate", "StudyTime", "PatientBirthDate"):
            setattr(query, keyword, "")
        query.ModalitiesInStudy = query.NumberOfStudyRelatedInstances = None
        model = StudyRootQueryRetrieveInformationModelFind
        with self._association([build_context(model)]) as (association, turn):
            turn.ours()
            answers = self._answers(association.send_c_find(query, model))
        # An archive that matches loosely must not bring another patient's exam.
        same = [
            answer for answer in answers if str(answer.get("PatientID", patient_id)).strip() == patient_id
        ]
        return [_remote_study(answer) for answer in same if answer.get("StudyInstanceUID")]

    def fetch(self, study_uid: str, accept: Accept) -> None:
        """Fetch the MR instances of a study by C-GET or C-MOVE."""
        query = Dataset()
        query.QueryRetrieveLevel = "STUDY"
        query.StudyInstanceUID = study_uid
        if self._settings.retrieve == "move":
            self._fetch_by_move(query)
        else:
            self._fetch_by_get(query, accept)

    def _fetch_by_get(self, query: Dataset, accept: Accept) -> None:
        def on_store(event: Event) -> int:
            accept(event.encoded_dataset())
            return SUCCESS

        model = StudyRootQueryRetrieveInformationModelGet
        contexts = [build_context(model), *(build_context(uid) for uid in sorted(SOURCE_CLASSES))]
        roles = [build_role(uid, scp_role=True) for uid in sorted(SOURCE_CLASSES)]
        with self._association(contexts, roles, [(evt.EVT_C_STORE, on_store)]) as (association, turn):
            turn.ours()
            self._answers(association.send_c_get(query, model))

    def _fetch_by_move(self, query: Dataset) -> None:
        if self._intake is None:
            raise ArchiveError("C-MOVE needs our storage service: set receive, or retrieve: get")
        model = StudyRootQueryRetrieveInformationModelMove
        with (
            self._intake.expecting(query.StudyInstanceUID),
            self._association([build_context(model)]) as (association, turn),
        ):
            turn.ours()
            self._answers(association.send_c_move(query, self._own, model))

    @contextmanager
    def _association(
        self, contexts: list[Any], roles: list[Any] | None = None, handlers: list[Any] | None = None
    ) -> Iterator[tuple[Association, Turn]]:
        """Associate for a block.

        Raises:
            ArchiveError: If the archive is not there or will not have us.
        """
        place = self._settings
        ae = Caller(self._own)
        ae.connection_timeout = min(10.0, place.timeout_s)
        ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = place.timeout_s
        tls = (self._tls, (place.tls and place.tls.peer_name) or place.host) if self._tls else None
        association = ae.associate(
            place.host,
            place.port,
            contexts=contexts,
            ae_title=place.ae_title,
            ext_neg=roles,
            tls_args=tls,
            evt_handlers=[*CONNECTION_HANDLERS, *(handlers or [])],
        )
        if not association.is_established:
            ae.hang_up()
            why = "refuses the association" if association.is_rejected else "does not answer"
            raise ArchiveError(f"{place.ae_title} at {place.host}:{place.port} {why}")
        turn = Turn(association)
        try:
            yield association, turn
        finally:
            turn.ours()
            association.release()
            ae.hang_up()

    @staticmethod
    def _answers(responses: Any) -> list[Dataset]:
        """Return the identifiers of pending answers.

        Raises:
            ArchiveError: If the last status is a failure. Sub-operations may fail: not all of a study is MR.
        """
        answers, code = [], None
        for status, identifier in responses:
            code = status.get("Status")
            if code in _PENDING and identifier is not None:
                answers.append(identifier)
        if code is None or not (code == SUCCESS or code >> 12 == 0xB):
            raise ArchiveError(f"the archive does not answer the query: {_words(code)}")
        return answers


def _kind(path: Path) -> tuple[str, str]:
    """Return the SOP class and transfer syntax of a file."""
    meta = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["SOPClassUID"]).file_meta
    return str(meta.MediaStorageSOPClassUID), str(meta.TransferSyntaxUID)


def _words(code: int | None) -> str:
    return "no answer" if code is None else f"status 0x{code:04X}"


def _remote_study(answer: Dataset) -> RemoteStudy:
    modalities = answer.get("ModalitiesInStudy") or ()
    count = answer.get("NumberOfStudyRelatedInstances")
    return RemoteStudy(
        uid=str(answer.StudyInstanceUID),
        when=str(answer.get("StudyDate") or "") + str(answer.get("StudyTime") or "").partition(".")[0],
        birth_date=str(answer.get("PatientBirthDate") or ""),
        description="",
        modalities=frozenset([modalities] if isinstance(modalities, str) else modalities),
        instances=int(count) if count not in (None, "") else None,
    )
