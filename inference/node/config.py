"""The node's whole configuration: one YAML file, typed, checked before anything starts."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from marrowmap.inference.node.peers import (
    ArchiveSettings,
    TlsSettings,
    WebSettings,
    require,
    require_ae_title,
    require_port,
)

LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, kw_only=True)
class LimitSettings:
    """What a peer may ask of us, and what we may ask of the disk.

    Attributes:
        instance_mb: Largest instance accepted, in MB; the connection of a larger one is cut.
        instances_per_study: Most instances of one study.
        instances_per_s: A peer that sends faster is slowed down, not refused.
        connections_per_minute: Connections of one address; more are closed unread.
        associations: At one time, over all peers.
        idle_s: A connection on which nothing happens for so long is closed.
        quota_gb: Images and results together, in GB; beyond it instances are refused as "out of
            resources", which every archive retries.
        free_gb: Never leave the disk with less, in GB.
    """

    instance_mb: float = 1024.0
    instances_per_study: int = 20_000
    instances_per_s: float = 500.0
    connections_per_minute: int = 240
    associations: int = 16
    idle_s: float = 60.0
    quota_gb: float = 200.0
    free_gb: float = 5.0

    def __post_init__(self) -> None:
        """Refuse a limit that would let nothing in.

        Raises:
            SettingsError: If a limit is not positive.
        """
        for name, value in vars(self).items():
            is_met = value >= 0 if name == "free_gb" else value > 0
            require(is_met, f"limits.{name} needs a positive number, found {value}")


@dataclass(frozen=True, kw_only=True)
class ReceiveSettings:
    """The DICOM storage service.

    Attributes:
        calling_ae_titles: Who may send; nobody else gets an association. There is no "everybody".
        ae_title: Who we are; an association to another called title is refused.
        host: Address to listen at. Anything but loopback should come with TLS.
        port: Port to listen at; 0 takes a free one.
        tls: Certificates; None for plain connections.
        quiet_s: A study is complete when nothing of it has arrived for so long and no association that
            brought some of it still runs. Short (3 s) where an archive pushes whole studies, longer than
            the pause between series where a scanner sends.
    """

    calling_ae_titles: tuple[str, ...]
    ae_title: str = "MARROWMAP"
    host: str = "127.0.0.1"
    port: int = 11112
    tls: TlsSettings | None = None
    quiet_s: float = 60.0

    def __post_init__(self) -> None:
        """Refuse an empty list of senders, wrong titles and ports.

        Raises:
            SettingsError: If one does not fit.
        """
        require(bool(self.calling_ae_titles), "receive.calling_ae_titles needs one AE title or more")
        for title in (self.ae_title, *self.calling_ae_titles):
            require_ae_title(title)
        require_port(self.port, lowest=0)
        require(self.quiet_s > 0, f"receive.quiet_s needs a positive number, found {self.quiet_s}")


@dataclass(frozen=True, kw_only=True)
class PollSettings:
    """Studies that are fetched by DICOMweb instead of being sent.

    Attributes:
        web: Where from.
        study_description: Only studies whose description matches; `*` and `?` are wildcards. Empty takes
            every MR study.
        days: How many days of study dates to look back.
        interval_s: Time between two looks.
        page: Studies asked for at a time.
    """

    web: WebSettings
    study_description: str = ""
    days: int = 2
    interval_s: float = 30.0
    page: int = 200

    def __post_init__(self) -> None:
        """Refuse what could never find a study.

        Raises:
            SettingsError: If a number is not positive.
        """
        require(
            min(self.days, self.interval_s, self.page) > 0, "poll needs positive days, interval_s and page"
        )


@dataclass(frozen=True, kw_only=True)
class PriorSettings:
    """The earlier exam that a new one is compared with.

    Attributes:
        archive: Name of the archive that is asked; empty for no comparison.
        years: How far back.
        candidates: How many earlier MR studies are tried, newest first; most are no whole-body exam.
        instances: A study with fewer instances is none.
    """

    archive: str = ""
    years: float = 5.0
    candidates: int = 3
    instances: int = 40


@dataclass(frozen=True, kw_only=True)
class WorkSettings:
    """How studies are worked through.

    Attributes:
        devices: One worker each: `auto`, `cpu`, `cuda:0` ...; name a device twice for two workers.
        weights: Folder of a bundle; None for the shipped one.
        threads: CPU threads of a worker's engine; None for all.
        attempts: A study that brought a worker down so often is given up.
        retry_s: First pause after a failure; it doubles each time.
        timeout_s: A study that takes longer is a failure.
    """

    devices: tuple[str, ...] = ("auto",)
    weights: Path | None = None
    threads: int | None = None
    attempts: int = 5
    retry_s: float = 10.0
    timeout_s: float = 3600.0

    def __post_init__(self) -> None:
        """Refuse a node that could never work.

        Raises:
            SettingsError: If there is no device, or a number is not positive.
        """
        require(bool(self.devices), "work.devices needs one device or more")
        require(min(self.attempts, self.timeout_s) > 0, "work needs positive attempts and timeout_s")


@dataclass(frozen=True, kw_only=True)
class SendSettings:
    """How results are sent and sent again.

    Attributes:
        retry_s: First pause after a failure; it doubles each time.
        longest_retry_s: The pause grows no longer than this.
        give_up_h: Hours after which results that no archive takes are given up. They stay on disk.
    """

    retry_s: float = 5.0
    longest_retry_s: float = 900.0
    give_up_h: float = 24.0 * 14

    def __post_init__(self) -> None:
        """Refuse pauses of no length.

        Raises:
            SettingsError: If a number is not positive.
        """
        require(
            min(self.retry_s, self.longest_retry_s, self.give_up_h) > 0,
            "send needs positive retry_s, longest_retry_s and give_up_h",
        )


@dataclass(frozen=True, kw_only=True)
class KeepSettings:
    """What stays on disk when a study is done.

    Attributes:
        images_days: Its images. Afterwards a late series alone is a study of its own.
        results_days: Its results: the next exam is compared with them without another run.
    """

    images_days: float = 1.0
    results_days: float = 365.0


@dataclass(frozen=True, kw_only=True)
class NodeSettings:
    """The node.

    Attributes:
        folder: Everything the node keeps: queue, images, results, token. One node a folder.
        receive: The DICOM storage service; None for a node that only polls.
        poll: Studies fetched by DICOMweb; None for a node that only receives.
        archives: Who gets the results; none keeps them in the folder.
        prior: The earlier exam to compare with.
        work: How studies are worked through.
        send: How results are sent.
        keep: What stays on disk.
        limits: What a peer may ask of us.
        status_port: Port of the status page, on loopback only; 0 takes a free one.
        is_synced: Wait for the disk before anything is acknowledged, so that not even a power cut loses
            it: 5 to 10 ms an instance.
    """

    folder: Path
    receive: ReceiveSettings | None = None
    poll: PollSettings | None = None
    archives: tuple[ArchiveSettings, ...] = ()
    prior: PriorSettings = field(default_factory=PriorSettings)
    work: WorkSettings = field(default_factory=WorkSettings)
    send: SendSettings = field(default_factory=SendSettings)
    keep: KeepSettings = field(default_factory=KeepSettings)
    limits: LimitSettings = field(default_factory=LimitSettings)
    status_port: int = 8750
    is_synced: bool = True

    def __post_init__(self) -> None:
        """Refuse a node that nothing could reach, and names that point nowhere.

        Raises:
            SettingsError: If one does not fit.
        """
        require(
            self.receive is not None or self.poll is not None, "need receive or poll: nothing would come in"
        )
        require_port(self.status_port, lowest=0)
        names = [archive.name for archive in self.archives]
        require(len(set(names)) == len(names), f"need different archive names, found {', '.join(names)}")
        require(
            self.prior.archive in ("", *names),
            f"prior.archive needs one of {', '.join(names) or 'archives'}, found {self.prior.archive}",
        )

    @property
    def quiet_s(self) -> float:
        """Seconds without news after which a study is complete."""
        # The poller only fetches what has stopped growing in the archive.
        return self.receive.quiet_s if self.receive else 1.0

    @property
    def own_ae_title(self) -> str:
        """Our title, also where we call."""
        return self.receive.ae_title if self.receive else "MARROWMAP"
