"""Ray, joined or started, for cohorts and searches alike. The package is loaded only here."""

from __future__ import annotations

import os
import socket
from typing import Any

from marrowmap.data.errors import CohortError

#: A head of a cluster that takes longer to answer is none (s).
_ANSWER_S = 10.0


def start_ray(address: str | None, cpus: int) -> Any:
    """Return Ray, started.

    Args:
        address: Of a running cluster's head, or None for this machine.
        cpus: How many this machine offers, where none is running.

    Raises:
        CohortError: If it cannot start, or the cluster is not there.
    """
    # Before the import: Ray would send what it knows of us to its makers, and no result of ours needs that.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    import ray
    import ray.exceptions

    common: dict[str, Any] = {"log_to_driver": False, "configure_logging": False}
    if address:
        _require_answer(address)
    try:
        if address:
            ray.init(address=address, **common)
        else:
            ray.init(num_cpus=cpus, include_dashboard=False, object_store_memory=100_000_000, **common)
    except Exception as error:  # Ray raises plain exceptions when it cannot start
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise CohortError(f"cannot use Ray at {address or 'this machine'}: {first}") from None
    return ray


def _require_answer(address: str) -> None:
    """Refuse an address at which nobody listens: Ray itself would try for minutes.

    Raises:
        CohortError: If it does not answer.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not port.isdigit():
        return
    try:
        socket.create_connection((host, int(port)), timeout=_ANSWER_S).close()
    except OSError as error:
        reason = error.strerror or "no answer"
        raise CohortError(
            f"cannot use Ray at {address}: {reason}; start it with: ray start --head --port {port}"
        ) from None
