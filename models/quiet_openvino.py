"""OpenVINO without its telemetry: a hospital's computer does not call home."""

from __future__ import annotations

import sys
from types import ModuleType


def import_openvino() -> ModuleType:
    """Return the `openvino` module, imported so that it neither sends nor stores usage data.

    Its import alone sends an event through `openvino_telemetry`, before consent could be refused. With
    that package marked as absent it falls back on a stub that does nothing.
    """
    if "openvino" not in sys.modules:
        sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    import openvino

    return openvino
