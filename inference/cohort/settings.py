"""How a cohort is worked through."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from marrowmap.data.errors import SettingsError
from marrowmap.inference.describe import FindingSettings
from marrowmap.inference.pipeline import InferSettings
from marrowmap.inference.segment import SegmentSettings


@dataclass(frozen=True, kw_only=True)
class CohortSettings:
    """How a cohort is worked through.

    Attributes:
        clinical: Table of clinical values (CSV), one row an exam or a person; None for none.
        workers: Exams at a time; None for 1, or with `ray` for as many as the cluster has room for.
        ray: Address of a Ray cluster that runs already, or `auto`; empty starts one here if workers > 1.
        weights: Folder of a bundle; None for the shipped one.
        device: `auto`, `cpu`, `cuda` or `cuda:n`.
        threads: CPU threads of a worker's engine; None for `cpus_per_worker`, or all with one worker.
        key_file: File that holds the key of the pseudonyms, 16 bytes or more; None makes a key in OUT.
        keep_outputs: Keep the folder that `infer` writes for every exam; without it the tables remain.
        compare: Compare every exam of a person with the one before it.
        attempts: A worker that dies over one exam so often makes this exam failed.
        timeout_s: An exam that takes longer on a worker of Ray is taken for lost (s).
        gb_in_flight: Files of all exams at work together, in GB; a larger exam runs alone.
        cpus_per_worker: CPU cores that Ray keeps for one worker.
        gpus_per_worker: GPUs that Ray keeps for one worker; 0.5 lets two take turns on one.
        web_user: User at a DICOMweb archive; empty for none.
        web_password_file: File whose first line is its password.
        web_token_file: File whose first line is a bearer token.
        windows: How an exam is cut into windows.
        findings: Every cut-off between the network's maps and the findings.
    """

    clinical: Path | None = None
    workers: int | None = None
    ray: str = ""
    weights: Path | None = None
    device: str = "auto"
    threads: int | None = None
    key_file: Path | None = None
    keep_outputs: bool = True
    compare: bool = True
    attempts: int = 3
    timeout_s: float = 3600.0
    gb_in_flight: float = 8.0
    cpus_per_worker: float = 1.0
    gpus_per_worker: float = 0.0
    web_user: str = ""
    web_password_file: Path | None = None
    web_token_file: Path | None = None
    windows: SegmentSettings = field(default_factory=SegmentSettings)
    findings: FindingSettings = field(default_factory=FindingSettings)

    def __post_init__(self) -> None:
        """Refuse what cannot work.

        Raises:
            SettingsError: Names the setting.
        """
        for name in ("workers", "attempts", "timeout_s", "gb_in_flight"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise SettingsError(f"need {name} above 0, found {value}")
        for name in ("cpus_per_worker", "gpus_per_worker"):
            if getattr(self, name) < 0:
                raise SettingsError(f"need {name} of 0 or more, found {getattr(self, name)}")

    @property
    def uses_ray(self) -> bool:
        """Whether more than this process works."""
        return bool(self.ray) or (self.workers or 1) > 1

    @property
    def infer(self) -> InferSettings:
        """What every exam is inferred with; no DICOM objects, nobody asked an archive for them."""
        threads = self.threads
        if threads is None and self.uses_ray:  # workers that each took all cores would wait for each other
            threads = max(1, round(self.cpus_per_worker))
        return InferSettings(
            weights=self.weights,
            device=self.device,
            threads=threads,
            dicom=False,
            windows=self.windows,
            findings=self.findings,
        )
