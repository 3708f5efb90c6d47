"""Archives behind TLS and passwords: who is who on both sides, and no secret where it can be read."""

from __future__ import annotations

import base64
import logging
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from marrowmap.data.errors import ArchiveError, SettingsError
from marrowmap.inference.node.config import NodeSettings
from marrowmap.inference.node.dicomweb import WebArchive
from marrowmap.inference.node.dimse import DimseArchive
from marrowmap.inference.node.node import Node
from marrowmap.inference.node.peers import DimseSettings, TlsSettings, WebSettings

Files = dict[str, Path]
Start = Callable[..., Node]
Make = Callable[..., Any]
SECRET = "correct-horse-battery"


def tls_of(files: Files, name: str, *, authority: str = "authority") -> TlsSettings:
    return TlsSettings(
        certificate=files[f"{name}.pem"], key=files[f"{name}.key"], authorities=files[f"{authority}.pem"]
    )


@pytest.fixture
def dimse_port(settings: NodeSettings, start_node: Start, certificates: Files) -> int:
    """The port of a storage service that wants certificates of our authority."""
    assert settings.receive is not None
    receive = replace(settings.receive, tls=tls_of(certificates, "node"))
    node = start_node(replace(settings, receive=receive))
    assert node.receiver is not None
    return node.receiver.port


def test_results_go_by_dimse_to_an_archive_whose_certificate_is_right(
    dimse_port: int, certificates: Files, make_study: Make
) -> None:
    files = make_study(slices=2).files
    place = DimseSettings(
        ae_title="MARROWMAP", host="127.0.0.1", port=dimse_port, tls=tls_of(certificates, "sender")
    )
    assert list(DimseArchive(place, "SENDER").store(files)) == list(files)


@pytest.mark.parametrize(
    ("name", "authority", "peer_name"),
    [
        ("stranger", "authority", ""),  # the archive does not know us
        ("sender", "stranger", ""),  # we do not know the archive
        ("sender", "authority", "other.host"),  # known, but somebody else
        (None, "", ""),  # no TLS at all
    ],
)
def test_no_image_goes_to_an_archive_that_is_not_who_it_should_be(
    name: str | None,
    authority: str,
    peer_name: str,
    dimse_port: int,
    certificates: Files,
    make_study: Make,
) -> None:
    tls = (
        replace(tls_of(certificates, name, authority=authority), peer_name=peer_name or "127.0.0.1")
        if name
        else None
    )
    place = DimseSettings(ae_title="MARROWMAP", host="127.0.0.1", port=dimse_port, tls=tls, timeout_s=5.0)
    with pytest.raises(ArchiveError, match=r"^MARROWMAP at 127.0.0.1:\d+ does not answer$"):
        list(DimseArchive(place, "SENDER").store(make_study(slices=1).files))


class Searched(BaseHTTPRequestHandler):
    """Answers every search with no study, but only to the right word of authorisation."""

    expected = ""

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        is_let_in = self.headers.get("Authorization", "") == self.expected
        self.send_response(200 if is_let_in else 401)
        self.send_header("Content-Type", "application/dicom+json")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"[]")


@pytest.fixture
def secured(certificates: Files) -> Iterator[Callable[[str], str]]:
    """A function that starts a DICOMweb archive behind TLS, with client certificates, and returns its URL."""
    servers: list[ThreadingHTTPServer] = []

    def start(expected: str) -> str:
        handler = type("Asked", (Searched,), {"expected": expected})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_cert_chain(certificates["node.pem"], certificates["node.key"])
        context.load_verify_locations(certificates["authority.pem"])
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.handle_error = lambda *_: None  # type: ignore[method-assign]  # refused handshakes are wanted
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"https://127.0.0.1:{server.server_port}/dicom-web"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text(SECRET + "\n")
    return path


def test_a_web_archive_gets_our_certificate_and_our_word(
    secured: Callable[[str], str], certificates: Files, secret_file: Path
) -> None:
    tls = tls_of(certificates, "sender")
    password = base64.b64encode(f"marrowmap:{SECRET}".encode()).decode()
    ways: list[tuple[str, dict[str, Any]]] = [
        ("", {}),
        (f"Basic {password}", {"user": "marrowmap", "password_file": secret_file}),
        (f"Bearer {SECRET}", {"token_file": secret_file}),
    ]
    for expected, named in ways:
        archive = WebArchive(WebSettings(url=secured(expected), tls=tls, **named))
        assert archive.find("SECRET-ID") == []


def test_a_wrong_word_is_told_by_its_status_and_stands_in_no_line(
    secured: Callable[[str], str], certificates: Files, secret_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    settings = WebSettings(
        url=secured("Bearer another"), tls=tls_of(certificates, "sender"), token_file=secret_file
    )
    with pytest.raises(ArchiveError, match=r"dicom-web answers with HTTP status 401$") as refused:
        WebArchive(settings).find("SECRET-ID")
    said = caplog.text + str(refused.value)
    assert SECRET not in said
    assert "SECRET-ID" not in str(refused.value)


@pytest.mark.parametrize(("name", "authority"), [("sender", "stranger"), ("stranger", "authority")])
def test_a_web_archive_that_is_a_stranger_or_takes_us_for_one_is_not_asked(
    name: str, authority: str, secured: Callable[[str], str], certificates: Files
) -> None:
    settings = WebSettings(url=secured(""), tls=tls_of(certificates, name, authority=authority))
    with pytest.raises(ArchiveError, match=r"dicom-web does not answer \((SSL|Connection)Error\)$"):
        WebArchive(settings).find("SECRET-ID")


def test_a_certificate_that_is_not_there_is_named_before_anything_starts(certificates: Files) -> None:
    with pytest.raises(SettingsError, match=r"^need the file /no/where.pem for TLS, found none$"):
        TlsSettings(
            certificate=Path("/no/where.pem"),
            key=certificates["node.key"],
            authorities=certificates["authority.pem"],
        )
