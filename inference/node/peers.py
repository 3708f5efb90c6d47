"""Where the node's peers are and how they are spoken to; a part of its configuration.

Secrets never stand in it: passwords and tokens are read from files that it names.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from marrowmap.data.errors import SettingsError

_AE_TITLE = re.compile(r"[\x21-\x5b\x5d-\x7e](?:[\x20-\x5b\x5d-\x7e]{0,14}[\x21-\x5b\x5d-\x7e])?")
_URL = re.compile(r"https?://[^/\s:]+(:\d+)?(/[^\s?#]*)?")
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,32}")


@dataclass(frozen=True, kw_only=True)
class TlsSettings:
    """Certificates of one connection, all PEM; at least TLS 1.2.

    Attributes:
        certificate: Our certificate, with the chain.
        key: Its private key.
        authorities: Who may have signed the peer's certificate. A peer without one is refused, on the
            receiving side too: client certificates are not optional.
        peer_name: Name in the archive's certificate where it is not its host name.
    """

    certificate: Path
    key: Path
    authorities: Path
    peer_name: str = ""

    def __post_init__(self) -> None:
        """Refuse files that are not there.

        Raises:
            SettingsError: If one is missing.
        """
        for path in (self.certificate, self.key, self.authorities):
            require(path.is_file(), f"need the file {path} for TLS, found none")


@dataclass(frozen=True, kw_only=True)
class DimseSettings:
    """An archive that speaks C-STORE, C-FIND and C-GET or C-MOVE.

    Attributes:
        ae_title: Its title.
        host: Its address.
        port: Its port.
        tls: Certificates; None for a plain connection.
        retrieve: How a prior exam is fetched: `get`, or `move` to our own storage service (the archive
            must then know our title, host and port).
        timeout_s: An answer that takes longer is none.
    """

    ae_title: str
    host: str
    port: int = 104
    tls: TlsSettings | None = None
    retrieve: Literal["get", "move"] = "get"
    timeout_s: float = 60.0

    def __post_init__(self) -> None:
        """Refuse a wrong title or port.

        Raises:
            SettingsError: If one does not fit.
        """
        require_ae_title(self.ae_title)
        require_port(self.port)


@dataclass(frozen=True, kw_only=True)
class WebSettings:
    """An archive that speaks STOW-RS, QIDO-RS and WADO-RS.

    Attributes:
        url: Root of its DICOMweb services.
        user: User of basic authentication; empty for none.
        password_file: File whose first line is the password.
        token_file: File whose first line is a bearer token.
        tls: Certificates; None for the system's authorities and no certificate of ours.
        timeout_s: An answer that takes longer is none.
    """

    url: str
    user: str = ""
    password_file: Path | None = None
    token_file: Path | None = None
    tls: TlsSettings | None = None
    timeout_s: float = 60.0

    def __post_init__(self) -> None:
        """Refuse a URL that is none, and secrets that are not there.

        Raises:
            SettingsError: If one does not fit.
        """
        require(
            bool(_URL.fullmatch(self.url)), f"need a URL such as https://host/dicom-web, found {self.url}"
        )
        require((self.user == "") == (self.password_file is None), "user and password_file go together")
        for path in (self.password_file, self.token_file):
            require(path is None or path.is_file(), f"need the file {path} for the archive, found none")


@dataclass(frozen=True, kw_only=True)
class ArchiveSettings:
    """An archive that gets the results: exactly one of `dimse` and `web`.

    Attributes:
        name: For logs, status page and the queue; do not rename it while results wait for it.
        dimse: Its DIMSE services.
        web: Its DICOMweb services.
    """

    name: str
    dimse: DimseSettings | None = None
    web: WebSettings | None = None

    def __post_init__(self) -> None:
        """Refuse both, none, and a name that does not fit into a log line.

        Raises:
            SettingsError: If one does not fit.
        """
        require(
            bool(_NAME.fullmatch(self.name)),
            f"need an archive name of letters and digits, found {self.name!r}",
        )
        require((self.dimse is None) != (self.web is None), f"archive {self.name} needs either dimse or web")


def require(is_met: bool, message: str) -> None:
    """Refuse a setting.

    Raises:
        SettingsError: If it does not hold what it should.
    """
    if not is_met:
        raise SettingsError(message)


def require_ae_title(title: str) -> None:
    """Refuse what is no AE title.

    Raises:
        SettingsError: If it is empty, longer than 16 characters, or holds others than DICOM allows.
    """
    require(bool(_AE_TITLE.fullmatch(title)), f"need an AE title of 1 to 16 characters, found {title!r}")


def require_port(port: int, lowest: int = 1) -> None:
    """Refuse what is no port.

    Raises:
        SettingsError: If it is out of range.
    """
    require(lowest <= port <= 65_535, f"need a port from {lowest} to 65535, found {port}")
