"""The status page, the metrics and the health check: on loopback, all but the last behind a token."""

from __future__ import annotations

import hmac
import json
import os
import secrets
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from html import escape
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from marrowmap.data.errors import NodeError
from marrowmap.inference.node.metrics import Metrics
from marrowmap.inference.node.overview import Line, Overview
from marrowmap.inference.node.queue import FAILED, REFUSED

HOST = "127.0.0.1"
_COOKIE = "marrowmap_token"
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem;color:#1b1f24;background:#fff}"
    "table{border-collapse:collapse;margin:1rem 0}th,td{text-align:left;padding:.3rem .8rem;"
    "border-bottom:1px solid #d0d7de;vertical-align:top}td:not(:last-child){white-space:nowrap}"
    ".bad{color:#a40e26;font-weight:600}.good{color:#116329;font-weight:600}"
)

_HEADS = ("Study", "State", "Complete", "Time", "Device", "Attempts", "Note")

#: Part of the node -> whether it works.
Health = Callable[[], Mapping[str, bool]]


def make_token(path: Path) -> str:
    """Return the token that opens the status page; made at the first start, readable by us alone."""
    if not path.exists():
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            stream.write(secrets.token_urlsafe(32) + "\n")
    return path.read_text(encoding="ascii").strip()


class StatusServer:
    """The pages, from construction to `stop`."""

    def __init__(self, port: int, token: str, overview: Overview, metrics: Metrics, health: Health) -> None:
        """Start to answer.

        Raises:
            NodeError: If the port is taken.
        """
        pages = _Pages(token=token, overview=overview, metrics=metrics, health=health)
        handler = type("Handler", (_Handler,), {"pages": pages})
        try:
            self._server = ThreadingHTTPServer((HOST, port), handler)
        except OSError as error:
            raise NodeError(f"cannot show the status at {HOST}:{port}: {error.strerror}") from None
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.2,), name="status", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop to answer."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Pages:
    def __init__(self, *, token: str, overview: Overview, metrics: Metrics, health: Health) -> None:
        self._token, self._overview, self._metrics, self._health = token, overview, metrics, health

    def is_token(self, text: str) -> bool:
        return hmac.compare_digest(text.encode(), self._token.encode())

    def health(self) -> tuple[int, str]:
        """Return 200 if every part works, 503 if one does not; no study is named."""
        parts = dict(self._health())
        is_well = all(parts.values())
        words = {"status": "ok" if is_well else "failing", "parts": parts}
        return 200 if is_well else 503, json.dumps(words)

    def metrics(self) -> str:
        return self._metrics.text()

    def page(self) -> str:
        return status_page(self._overview, self._health())


class _Handler(BaseHTTPRequestHandler):
    pages: _Pages
    server_version = "marrowmap"
    sys_version = ""
    timeout = 10.0

    def do_GET(self) -> None:
        """Answer one request."""
        address = urlsplit(self.path)
        if address.path == "/health":
            code, text = self.pages.health()
            self._answer(code, "application/json", text)
        elif address.path not in ("/", "/metrics"):
            self._answer(404, "text/plain", "no such page\n")
        elif self.pages.is_token(token := parse_qs(address.query).get("token", [""])[0]):
            # Out of the address line and the history, into a cookie.
            self._redirect(address.path, token)
        elif not self._is_known():
            self._answer(
                401, "text/plain", "need the token: see docs/node.md\n", {"WWW-Authenticate": "Bearer"}
            )
        elif address.path == "/metrics":
            self._answer(200, "text/plain; version=0.0.4", self.pages.metrics())
        else:
            self._answer(200, "text/html", self.pages.page())

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the request line may hold the token."""

    def _is_known(self) -> bool:
        scheme, _, bearer = self.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self.pages.is_token(bearer.strip()):
            return True
        morsel = SimpleCookie(self.headers.get("Cookie", "")).get(_COOKIE)
        return morsel is not None and self.pages.is_token(morsel.value)

    def _redirect(self, path: str, token: str) -> None:
        cookie = f"{_COOKIE}={token}; HttpOnly; SameSite=Strict; Path=/"
        self._answer(303, "text/plain", "", {"Location": path, "Set-Cookie": cookie})

    def _answer(self, code: int, kind: str, text: str, headers: Mapping[str, str] | None = None) -> None:
        body = text.encode()
        self.send_response(code)
        for name, value in {**_HEADERS, **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def status_page(overview: Overview, health: Mapping[str, bool]) -> str:
    """Return the page: parts, numbers, the newest studies with what went wrong."""
    parts = "".join(
        _row((name, "works" if is_well else "fails"), is_bad=not is_well) for name, is_well in health.items()
    )
    counts = {"receiving": overview.receiving(), **overview.states()}
    numbers = "".join(f"<td>{escape(state)}: <b>{count}</b></td>" for state, count in counts.items())
    heads = "".join(f"<th>{word}</th>" for word in _HEADS)
    rows = "".join(_study_row(line) for line in overview.lines())
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        "<meta http-equiv='refresh' content='10'><title>marrowmap node</title>"
        f"<style>{_STYLE}</style></head><body><h1>marrowmap node</h1>"
        "<p>Research use only. Studies are named by a hash; no name and no identifier is shown.</p>"
        f"<h2>Parts</h2><table>{parts}</table><h2>Queue</h2><table><tr>{numbers}</tr></table>"
        f"<h2>Studies</h2><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></body></html>"
    )


def _study_row(line: Line) -> str:
    complete = f"{datetime.fromtimestamp(line.queued):%Y-%m-%d %H:%M:%S}"
    numbers = (f"{line.seconds:.1f} s", line.device, str(line.attempts))
    return _row(
        (line.alias, line.state, complete, *numbers, line.note), is_bad=line.state in (REFUSED, FAILED)
    )


def _row(cells: tuple[str, ...], *, is_bad: bool) -> str:
    first, second, *rest = (escape(cell) for cell in cells)
    return (
        f"<tr><td>{first}</td><td class='{'bad' if is_bad else 'good'}'>{second}</td>"
        + "".join(f"<td>{cell}</td>" for cell in rest)
        + "</tr>"
    )


def ask_health(port: int, timeout_s: float = 10.0) -> tuple[bool, str]:
    """Return whether the node at a port is well, and its words."""
    from http.client import HTTPConnection, HTTPException

    connection = HTTPConnection(HOST, port, timeout=timeout_s)
    try:
        connection.request("GET", "/health")
        answer = connection.getresponse()
        return answer.status == 200, answer.read().decode("utf-8", "replace")
    except (OSError, HTTPException) as error:
        return False, f"no answer at {HOST}:{port} ({type(error).__name__})"
    finally:
        connection.close()
