"""A thread that works when there is work and is woken when there is more."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

logger = logging.getLogger(__name__)

#: Pause after a defect of ours, so that a loop that always fails does not fill the log (s).
_PAUSE_AFTER_DEFECT_S = 5.0


class Loop:
    """Calls a function again and again; after a call that found nothing it waits to be woken."""

    def __init__(self, name: str, step: Callable[[], bool], every_s: float) -> None:
        """Make the thread; `start` starts it.

        Args:
            name: For logs and the health check.
            step: Does one piece of work; False if there was none.
            every_s: Look again after so long without being woken.
        """
        self.name = name
        self._step, self._every_s = step, every_s
        self._news, self._is_stopped = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start to work."""
        self._thread.start()

    def wake(self) -> None:
        """Say that there may be work."""
        self._news.set()

    def stop(self) -> None:
        """Ask the thread to end after its piece of work."""
        self._is_stopped.set()
        self._news.set()

    def join(self, timeout_s: float) -> bool:
        """Wait for the end; False if it takes longer."""
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    @property
    def is_stopped(self) -> bool:
        """Whether the thread was asked to end."""
        return self._is_stopped.is_set()

    def _run(self) -> None:
        while not self._is_stopped.is_set():
            self._news.clear()
            try:
                has_worked = self._step()
            except Exception as error:  # a defect must not end the thread: the queue would stand still
                logger.error("%s: %s", self.name, describe_defect(error))
                self._is_stopped.wait(_PAUSE_AFTER_DEFECT_S)
                continue
            if not has_worked:
                self._news.wait(self._every_s)


def describe_defect(error: BaseException) -> str:
    """Return what and where, without the error's words: they may quote a data set, and with it a name."""
    place, at = error.__traceback__, ""
    while place is not None:
        at = f"{place.tb_frame.f_globals.get('__name__', '?')}:{place.tb_lineno}"
        place = place.tb_next
    return f"{type(error).__name__} in {at}"
