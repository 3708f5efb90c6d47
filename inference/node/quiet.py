"""Libraries that quote data sets in their messages say nothing in the node's log."""

from __future__ import annotations

import logging
import warnings

_LIBRARIES = ("pynetdicom", "pydicom", "highdicom", "dicomweb_client", "urllib3")


def quiet_libraries() -> None:
    """Silence them: a warning about a value shows the value, and that may be a name."""
    for name in _LIBRARIES:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    warnings.filterwarnings("ignore", module=rf"({'|'.join(_LIBRARIES)})(\..*)?")


def quiet_network() -> None:
    """Spare pynetdicom the work of writing what nobody reads: a fifth of the time of an instance."""
    from pynetdicom import _config

    _config.LOG_HANDLER_LEVEL = "none"
    _config.LOG_REQUEST_IDENTIFIERS = _config.LOG_RESPONSE_IDENTIFIERS = False
