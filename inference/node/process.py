"""Inference in a process of its own, which keeps the network ready: what kills it kills no node."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
import time
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from typing import Any

from marrowmap.data.errors import EngineError, MarrowmapError, StudyError
from marrowmap.inference.node.analysis import StoppedError, Task, WorkerError
from marrowmap.inference.node.config import WorkSettings
from marrowmap.inference.node.loop import describe_defect
from marrowmap.inference.node.quiet import quiet_libraries

logger = logging.getLogger(__name__)

#: Opening the network takes seconds; much longer means that it never will (s).
_WARM_UP_S = 300.0
_READY, _DONE, _REFUSED, _FAILED = "ready", "done", "refused", "failed"


class WarmProcess:
    """The process of one worker; made anew when it dies."""

    def __init__(self, settings: WorkSettings, device: str) -> None:
        """Start the process and wait until its network is ready.

        Raises:
            EngineError: If the network cannot be opened.
        """
        self._settings, self._device = settings, device
        self._is_stopped = False
        self._start()

    def run(self, task: Task) -> None:
        """Write the results of a task.

        Raises:
            StudyError: If the study cannot be processed.
            WorkerError: If the process died, met a defect or took too long.
            StoppedError: If `stop` was called.
        """
        if not self.is_alive and not self._is_stopped:
            logger.warning("worker %s: started again", self._device)
            self._start()
        kind, words = self._answer(task)
        if kind == _REFUSED:
            raise StudyError(words)
        if kind == _FAILED:
            raise WorkerError(words)

    def stop(self) -> None:
        """End the process, also in the middle of a task."""
        self._is_stopped = True
        self._kill()

    @property
    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self._process.is_alive()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        level = logging.getLogger("marrowmap").getEffectiveLevel()
        arguments = (theirs, self._settings, self._device, level)
        self._process = context.Process(
            target=_serve, args=arguments, name=f"marrowmap-{self._device}", daemon=True
        )
        self._process.start()
        theirs.close()
        kind, words = self._receive(_WARM_UP_S)
        if kind != _READY:
            self._kill()
            raise EngineError(words)

    def _answer(self, task: Task) -> tuple[str, str]:
        try:
            self._pipe.send(task)
        except OSError:
            return self._gone()
        return self._receive(self._settings.timeout_s)

    def _receive(self, timeout_s: float) -> tuple[str, str]:
        until = time.monotonic() + timeout_s
        try:
            while not self._pipe.poll(min(1.0, max(0.0, until - time.monotonic()))):
                if time.monotonic() >= until:
                    self._kill()
                    return _FAILED, f"no result within {timeout_s:.0f} s"
            answer: tuple[str, str] = self._pipe.recv()
        except (EOFError, OSError):
            return self._gone()
        return answer

    def _gone(self) -> tuple[str, str]:
        if self._is_stopped:
            raise StoppedError
        self._process.join(5.0)
        return _FAILED, f"the process of the inference ended with code {self._process.exitcode}"

    def _kill(self) -> None:
        self._process.kill()
        self._process.join(5.0)


def _serve(pipe: Connection, settings: WorkSettings, device: str, level: int) -> None:
    """Run in the process: open the network once, then answer task after task."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches us too, but the node decides
    threading.Thread(target=_end_with_parent, daemon=True).start()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("marrowmap").setLevel(level)
    quiet_libraries()
    try:
        work = _network(settings, device)
    except MarrowmapError as error:
        pipe.send((_FAILED, str(error)))
        return
    pipe.send((_READY, ""))
    while True:
        try:
            task: Task = pipe.recv()
        except EOFError:
            return
        pipe.send(_attempt(work, task))


def _attempt(work: Any, task: Task) -> tuple[str, str]:
    """Return what became of a task, in words that quote no data set."""
    try:
        work(task)
    except EngineError as error:
        return _FAILED, str(error)
    except MarrowmapError as error:
        return _REFUSED, str(error)
    except Exception as error:
        return _FAILED, f"a defect of ours: {describe_defect(error)}"
    return _DONE, ""


def _network(settings: WorkSettings, device: str) -> Any:
    """Return the function that does a task with a network that is open already."""
    from marrowmap.inference.pipeline import InferSettings, infer, open_network

    always = InferSettings(weights=settings.weights, device=device, threads=settings.threads)
    network = open_network(always)

    def work(task: Task) -> None:
        settings = always if task.prior is None else replace(always, prior=task.prior)
        infer(task.study, task.out, settings, network=network)

    return work


def _end_with_parent() -> None:
    """End when the node does, however it does: nobody would want the result."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
