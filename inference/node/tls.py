"""TLS on both sides, always with certificates on both sides."""

from __future__ import annotations

import ssl

from marrowmap.data.errors import NodeError
from marrowmap.inference.node.peers import TlsSettings


def server_context(settings: TlsSettings) -> ssl.SSLContext:
    """Return the context of our storage service: a peer without a certificate of ours is refused.

    Raises:
        NodeError: If a certificate or key cannot be used.
    """
    return _loaded(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), settings)


def client_context(settings: TlsSettings) -> ssl.SSLContext:
    """Return the context of our calls: the archive must be who its certificate says.

    Raises:
        NodeError: If a certificate or key cannot be used.
    """
    return _loaded(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), settings)


def _loaded(context: ssl.SSLContext, settings: TlsSettings) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    try:
        context.load_cert_chain(settings.certificate, settings.key, password=_no_password)
        context.load_verify_locations(settings.authorities)
    except OSError as error:  # ssl.SSLError is one
        raise NodeError(
            f"cannot use {settings.certificate}, {settings.key} or {settings.authorities} for TLS: "
            f"{error.strerror or error}"
        ) from None
    return context


def _no_password() -> str:
    """Refuse an encrypted key, where OpenSSL would ask at the terminal."""
    return ""
