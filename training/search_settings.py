"""Where a search's trials run; apart from the rest so that the command line loads it without torch."""

from __future__ import annotations

from dataclasses import dataclass

from marrowmap.data.errors import SettingsError


@dataclass(frozen=True, kw_only=True)
class WorkerSettings:
    """Where trials run.

    Attributes:
        workers: Trials at a time; more than 1 needs Ray (the extra [cohort]).
        ray: Address of a running Ray cluster that sees `run` and the cache, or None for this machine.
        cpus_per_trial: CPUs that a trial takes.
        gpus_per_trial: GPUs that a trial takes.
    """

    workers: int = 1
    ray: str | None = None
    cpus_per_trial: float = 1.0
    gpus_per_trial: float = 0.0

    def __post_init__(self) -> None:
        """Refuse counts that could not work.

        Raises:
            SettingsError: Names the count.
        """
        if self.workers < 1 or self.cpus_per_trial < 0 or self.gpus_per_trial < 0:
            raise SettingsError("workers needs 1 or more, CPUs and GPUs of a trial 0 or more; found less")
