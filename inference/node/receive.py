"""The DICOM storage service: lets in who may, as much as there is room for, and keeps it safe."""

from __future__ import annotations

import logging
import socket
import ssl
import threading
import time
from typing import Any

from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import (
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)
from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.association import Association
from pynetdicom.events import Event
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]  # made at run time
from pynetdicom.transport import RequestHandler, ThreadedAssociationServer

from marrowmap.data.errors import NodeError
from marrowmap.inference.node.config import LOOPBACK, LimitSettings, ReceiveSettings
from marrowmap.inference.node.dimse import CONNECTION_HANDLERS, SUCCESS
from marrowmap.inference.node.intake import InstanceError, Intake, Outcome, read_arrival
from marrowmap.inference.node.limits import QuotaError, RateLimit
from marrowmap.inference.node.metrics import Metrics
from marrowmap.inference.node.tls import server_context

logger = logging.getLogger(__name__)

_PLAIN = (
    ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian,
)  # fmt: skip
_COMPRESSED = (JPEG2000Lossless, JPEGLSLossless, JPEGLosslessSV1, JPEGLossless, RLELossless, JPEG2000)
_OUT_OF_RESOURCES, _NOT_WHAT_IT_SAYS, _CANNOT_UNDERSTAND = 0xA700, 0xA900, 0xC000
#: The largest message part we ask for (bytes), and the largest we read: an association request may be larger.
_PDU_BYTES, _LARGEST_PDU_BYTES = 131_072, 1_048_576


#: A peer that has not asked for an association by then holds its place no longer (s).
_SAY_WHO_YOU_ARE_S = 15.0


class Receiver:
    """The service, from construction to `stop`."""

    def __init__(
        self, settings: ReceiveSettings, limits: LimitSettings, intake: Intake, metrics: Metrics
    ) -> None:
        """Start to listen.

        Raises:
            NodeError: If the port is taken or a certificate cannot be used.
        """
        self._intake, self._metrics, self._limits = intake, metrics, limits
        self._sending: dict[Association, set[str]] = {}
        self._lock = threading.Lock()
        self._pace = RateLimit(limits.instances_per_s, burst=2 * limits.instances_per_s)
        context = server_context(settings.tls) if settings.tls else None
        if context is None and settings.host not in LOOPBACK:
            logger.warning("listening at %s without TLS: anybody on the way can read along", settings.host)
        try:
            entity = _entity(settings, limits)
            self._server = entity.make_server(
                (settings.host, settings.port),
                ssl_context=context,
                evt_handlers=[
                    *CONNECTION_HANDLERS,
                    (evt.EVT_C_ECHO, lambda _: SUCCESS),
                    (evt.EVT_C_STORE, self._on_store),
                    (evt.EVT_REJECTED, self._on_reject),
                ],
                server_class=_Server,
                request_handler=_Handler,
                limits=limits,
            )
        except OSError as error:
            raise NodeError(f"cannot listen at {settings.host}:{settings.port}: {error.strerror}") from None
        entity._servers.append(self._server)  # as start_server does, which knows only its own class of server
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.1,), name="receive", daemon=True
        )
        self._thread.start()
        self.port: int = self._server.server_address[1]
        logger.info("%s listens at %s:%d", settings.ae_title, settings.host, self.port)

    @property
    def is_alive(self) -> bool:
        """Whether new associations are answered."""
        return self._thread.is_alive()

    def busy_studies(self) -> frozenset[str]:
        """Return the UIDs of studies of which an association that still runs has brought something."""
        with self._lock:
            self._sending = {one: uids for one, uids in self._sending.items() if one.is_alive()}
            return frozenset().union(*self._sending.values())

    def stop(self, patience_s: float = 5.0) -> None:
        """Take no new association, let those that run end for a moment, then cut them."""
        self._server.shutdown()
        until = time.monotonic() + patience_s
        while self._server.active_associations and time.monotonic() < until:
            time.sleep(0.05)
        for association in self._server.active_associations:
            association.abort()
        self._thread.join()

    def _on_store(self, event: Event) -> int:
        """Answer one C-STORE request: success means safe on our disk."""
        _reader(event.assoc).start_over()
        peer = str(event.assoc.requestor.address)
        time.sleep(self._pace.wait_s(peer))
        try:
            arrival = read_arrival(event.encoded_dataset())
            if arrival.sop_uid != event.request.AffectedSOPInstanceUID:  # type: ignore[union-attr]
                return self._refused(_NOT_WHAT_IT_SAYS, "its UID is not the one announced")
            with self._lock:
                self._sending.setdefault(event.assoc, set()).add(arrival.study_uid)
            outcome = self._intake.accept(arrival)
        except QuotaError as error:
            return self._refused(_OUT_OF_RESOURCES, str(error))
        except InstanceError as error:
            return self._refused(_CANNOT_UNDERSTAND, str(error))
        except Exception as error:  # whatever it is, the peer gets an answer and keeps the instance
            # Its words could quote the data set.
            logger.error("an instance was refused: %s", type(error).__name__)
            return self._refused(_OUT_OF_RESOURCES, "a defect of ours")
        self._metrics.count("instances_received", outcome=outcome.value)
        if outcome is Outcome.STORED:
            self._metrics.count("bytes_received", by=len(arrival.encoded))
        return SUCCESS

    def _refused(self, status: int, reason: str) -> int:
        self._metrics.count("instances_refused", status=f"0x{status:04X}")
        logger.warning("an instance was refused (0x%04X): %s", status, reason)
        return status

    def _on_reject(self, event: Event) -> None:
        self._metrics.count("associations_refused", reason="ae_title_or_limit")
        logger.warning("an association from %s was refused", event.assoc.requestor.address)


class _Server(ThreadedAssociationServer):
    """A server in which a silent or greedy peer stands in nobody's way."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, *args: Any, limits: LimitSettings, **named: Any) -> None:
        self.limits = limits
        self._connections = RateLimit(limits.connections_per_minute / 60, burst=limits.connections_per_minute)
        super().__init__(*args, **named)

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        """Accept a connection; its TLS handshake waits for the thread of the connection."""
        assert self.socket is not None
        connection, address = self.socket.accept()
        connection.settimeout(self.limits.idle_s)
        if self.ssl_context:
            connection = self.ssl_context.wrap_socket(
                connection, server_side=True, do_handshake_on_connect=False
            )
        return connection, address

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Close the connections of an address that makes too many."""
        return self._connections.allows(str(client_address[0]))

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Shake hands, then talk."""
        if isinstance(request, ssl.SSLSocket):
            try:
                request.do_handshake()
            except OSError as error:  # ssl.SSLError is one
                reason = getattr(error, "reason", None) or type(error).__name__
                logger.warning("no TLS with %s: %s", client_address[0], reason)
                self.shutdown_request(request)
                return
        super().process_request_thread(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say so in one line, where the base class would print a traceback."""
        logger.error("a connection from %s failed", client_address[0])


class _Handler(RequestHandler):
    """Puts a bound on what is read for one message."""

    def _create_association(self) -> Association:
        association = super()._create_association()
        transport = association.dul.socket
        assert transport is not None
        assert isinstance(self.server, _Server)
        reader = _BoundedReader(association, int(self.server.limits.instance_mb * 1e6))
        transport.recv = reader.recv
        return association


class _BoundedReader:
    """Reads for an association, but never more than one instance may have, and in large pieces."""

    def __init__(self, association: Association, most_bytes: int) -> None:
        self._association, self._most, self._read = association, most_bytes, 0

    def start_over(self) -> None:
        """A message is complete; count the next from nothing."""
        self._read = 0

    def recv(self, nr_bytes: int) -> bytearray:
        """Read so many bytes; fewer where the peer has gone.

        Raises:
            OSError: If the peer sends more than it may: the connection is closed.
        """
        data = bytearray()
        try:
            data = self._checked(nr_bytes)
        finally:
            if len(data) < nr_bytes and self._association.requestor.primitive is None:
                # Gone before it said who it is: pynetdicom would hold a place for it until the timeout.
                self._association.dul.to_user_queue.put(None)  # type: ignore[arg-type]
        return data

    def _checked(self, length: int) -> bytearray:
        self._read += length
        if length > _LARGEST_PDU_BYTES or self._read > self._most + _LARGEST_PDU_BYTES:
            logger.warning("a connection was cut: more bytes than limits.instance_mb allows")
            raise OSError("too large")
        transport: Any = self._association.dul.socket
        data = bytearray(length)
        view, have = memoryview(data), 0
        while have < length:
            got = transport.socket.recv_into(view[have:])
            if not got:
                return data[:have]
            have += got
        return data


def _reader(association: Association) -> _BoundedReader:
    reader = association.dul.socket.recv.__self__  # type: ignore[union-attr]
    assert isinstance(reader, _BoundedReader)
    return reader


def _entity(settings: ReceiveSettings, limits: LimitSettings) -> AE:
    """Return who we are and what we take."""
    ae = AE(settings.ae_title)
    ae.require_called_aet = True
    ae.require_calling_aet = list(settings.calling_ae_titles)
    ae.maximum_associations = limits.associations
    ae.maximum_pdu_size = _PDU_BYTES
    ae.dimse_timeout = ae.network_timeout = limits.idle_s
    ae.acse_timeout = min(_SAY_WHO_YOU_ARE_S, limits.idle_s)
    syntaxes = transfer_syntaxes()
    for context in AllStoragePresentationContexts:
        if context.abstract_syntax:
            ae.add_supported_context(context.abstract_syntax, syntaxes)
    ae.add_supported_context(Verification)
    return ae


def transfer_syntaxes() -> list[UID]:
    """Return the encodings that can be decoded here: taking another would only fail later."""
    return [*_PLAIN, *(uid for uid in _COMPRESSED if get_decoder(uid).is_available)]
