"""The node, put together: what comes in, what is worked on, what goes out; start and stop in order."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

from marrowmap.data.errors import NodeError
from marrowmap.inference.folder_lock import FolderInUse, hold_folder
from marrowmap.inference.node.analysis import Analysis, Inference
from marrowmap.inference.node.archive import Archive
from marrowmap.inference.node.config import NodeSettings
from marrowmap.inference.node.database import Database
from marrowmap.inference.node.dicomweb import WebArchive
from marrowmap.inference.node.dimse import DimseArchive
from marrowmap.inference.node.intake import Intake
from marrowmap.inference.node.keep import Keeper, used_bytes
from marrowmap.inference.node.limits import DiskQuota
from marrowmap.inference.node.loop import Loop
from marrowmap.inference.node.metrics import Metrics
from marrowmap.inference.node.overview import Overview
from marrowmap.inference.node.parcels import Parcels
from marrowmap.inference.node.peers import ArchiveSettings
from marrowmap.inference.node.poll import Poller
from marrowmap.inference.node.prior import PriorFinder
from marrowmap.inference.node.process import WarmProcess
from marrowmap.inference.node.queue import Queue
from marrowmap.inference.node.quiet import quiet_libraries, quiet_network
from marrowmap.inference.node.receive import Receiver
from marrowmap.inference.node.send import Sender
from marrowmap.inference.node.status import StatusServer, make_token
from marrowmap.inference.node.worker import Worker

logger = logging.getLogger(__name__)

#: Makes the inference of one device.
MakeInference = Callable[[str], Inference]

#: Below the node's folder: what opens the status page.
TOKEN_FILE = "status-token"
_KEEP_EVERY_S = 600.0
_LOOK_EVERY_S = 0.25


class Node:
    """The node, from construction to `stop`. What comes in is safe from the first moment."""

    def __init__(
        self, settings: NodeSettings, model: str, make_inference: MakeInference | None = None
    ) -> None:
        """Start everything, the door last.

        Args:
            settings: The configuration.
            model: What names the model: studies are worked through once for every model.
            make_inference: Makes what does the inference; None for a warm process a device.

        Raises:
            NodeError: If the folder is in use, or a port is taken.
            EngineError: If the network cannot be opened.
        """
        quiet_libraries()
        quiet_network()
        self.settings, self.metrics = settings, Metrics()
        self._is_stopped = threading.Event()
        self._workers: list[Worker] = []
        self._loops: list[Loop] = []
        self.status: StatusServer | None = None
        self.receiver: Receiver | None = None
        self._lock = lock_folder(settings.folder)
        self._database = Database(settings.folder / "queue.sqlite", is_synced=settings.is_synced)
        self._quota = DiskQuota(settings.folder, settings.limits, used_bytes(self._database))
        self.intake = self._make_intake()
        self.queue = Queue(self._database, model, [archive.name for archive in settings.archives])
        self.analysis = Analysis(settings.folder / "jobs", self.intake)
        self.overview = Overview(self._database, self._quota)
        self.metrics.watch(self.overview.gauges)
        self.token = make_token(settings.folder / TOKEN_FILE)
        try:
            self._start(make_inference or (lambda device: WarmProcess(settings.work, device)))
        except BaseException:
            self.stop()
            raise

    def _start(self, make_inference: MakeInference) -> None:
        settings = self.settings
        archives = {place.name: self._open_archive(place) for place in settings.archives}
        self._senders = [self._make_sender(name, archive) for name, archive in archives.items()]
        prior = self._make_prior(archives)
        for device in settings.work.devices:
            self._workers.append(self._make_worker(device, make_inference(device), prior))
        self._work_loops = [
            Loop(f"worker {number} ({worker.device})", worker.step, _LOOK_EVERY_S)
            for number, worker in enumerate(self._workers, start=1)
        ]
        self._loops = [*self._senders, *self._work_loops, *self._make_helpers()]
        for loop in self._loops:
            loop.start()
        self.status = StatusServer(settings.status_port, self.token, self.overview, self.metrics, self.health)
        if settings.receive:
            self.receiver = Receiver(settings.receive, settings.limits, self.intake, self.metrics)

    def health(self) -> Mapping[str, bool]:
        """Return whether each part of the node works."""
        parts = {loop.name: loop.is_alive for loop in self._loops}
        engines = [worker.inference for worker in self._workers]
        parts |= {f"inference {n}": engine.is_alive for n, engine in enumerate(engines, start=1)}
        parts["disk"] = self._quota.free_bytes() > self.settings.limits.free_gb * 1e9
        if self.receiver is not None:
            parts["receive"] = self.receiver.is_alive
        return parts

    def wait(self) -> None:
        """Return when `stop` is called, from a signal handler for example."""
        # In pieces: a wait without end cannot be interrupted on Windows.
        while not self._is_stopped.wait(0.5):
            pass

    def ask_to_stop(self) -> None:
        """Let `wait` return."""
        self._is_stopped.set()

    def stop(self, patience_s: float = 10.0) -> None:
        """Close the door first, then end what runs; nothing that waits is lost. Twice is as good as once."""
        self.ask_to_stop()
        if self.receiver is not None:
            self.receiver.stop()
        for loop in self._loops:
            loop.stop()
        for worker in self._workers:
            worker.inference.stop()
        slow = [loop.name for loop in self._loops if not loop.join(patience_s)]
        if self.status is not None:
            self.status.stop()
        self.receiver = self.status = None
        if slow:  # a transaction is whole or not at all, and the process is about to end
            logger.warning("still busy at the end: %s", ", ".join(slow))
        else:
            self._database.close()
        self._lock.close()

    def _make_intake(self) -> Intake:
        settings = self.settings
        intake = Intake(
            self._database,
            settings.folder / "studies",
            self._quota,
            settings.limits.instances_per_study,
            is_synced=settings.is_synced,
        )
        strays = intake.sweep()
        if strays:
            logger.info("%d files were cut off before they were acknowledged; deleted", strays)
        return intake

    def _open_archive(self, place: ArchiveSettings) -> Archive:
        if place.web is not None:
            return WebArchive(place.web)
        assert place.dimse is not None  # the settings were checked
        intake = self.intake if self.settings.receive else None
        return DimseArchive(place.dimse, self.settings.own_ae_title, intake)

    def _make_sender(self, name: str, archive: Archive) -> Loop:
        jobs = self.settings.folder / "jobs"
        sender = Sender(name, archive, Parcels(self._database), jobs, self.settings.send, self.metrics)
        return Loop(f"send to {name}", sender.step, _LOOK_EVERY_S)

    def _make_prior(self, archives: Mapping[str, Archive]) -> PriorFinder | None:
        settings = self.settings.prior
        if not settings.archive:
            return None
        return PriorFinder(archives[settings.archive], settings, self.queue, self.intake, self.analysis)

    def _make_worker(self, device: str, inference: Inference, prior: PriorFinder | None) -> Worker:
        return Worker(
            device,
            inference,
            self.queue,
            self.analysis,
            prior,
            self.settings.work,
            self._quota,
            self.metrics,
            self._wake_senders,
        )

    def _make_helpers(self) -> list[Loop]:
        settings = self.settings
        keeper = Keeper(settings.keep, self._database, self.intake, self.analysis, self._quota)
        loops = [
            Loop("close studies", self._close_studies, min(0.5, settings.quiet_s / 4)),
            Loop("clear away", keeper.step, _KEEP_EVERY_S),
        ]
        if settings.poll is not None:
            poller = Poller(settings.poll, settings.quiet_s, self._database, self.intake, self.metrics)
            loops.append(Loop("poll", poller.step, settings.poll.interval_s))
        return loops

    def _close_studies(self) -> bool:
        busy = self.receiver.busy_studies() if self.receiver else frozenset[str]()
        if self.queue.close_quiet_studies(self.settings.quiet_s, busy):
            for loop in self._work_loops:
                loop.wake()
        return False

    def _wake_senders(self) -> None:
        for loop in self._senders:
            loop.wake()


def lock_folder(folder: Path) -> IO[str]:
    """Return the open lock of a node's folder, which is made if there is none.

    Raises:
        NodeError: If another node uses it, or it cannot be made.
    """
    try:
        return hold_folder(folder)
    except FolderInUse:
        raise NodeError(f"another node uses {folder}; stop it or name another folder") from None
    except OSError as error:
        raise NodeError(f"cannot use the folder {folder}: {error.strerror}; name another") from None
