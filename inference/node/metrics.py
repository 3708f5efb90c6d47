"""Numbers for Prometheus: counted in memory, the state of the queue from its file."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass

#: What is counted, with the help text that Prometheus shows.
COUNTERS = {
    "instances_received": "Instances taken, by what became of them.",
    "instances_refused": "Instances refused, by DICOM status.",
    "bytes_received": "Bytes of the instances stored.",
    "associations_refused": "Associations refused.",
    "objects_sent": "Result objects stored in an archive.",
    "send_failures": "Failed attempts to send results, by archive.",
    "studies_inferred": "Studies worked through, by outcome.",
    "infer_seconds": "Seconds spent in inference.",
    "results_delay_seconds": "Seconds from a study's last instance to its results in an archive.",
    "results_delivered": "Studies whose results an archive has.",
    "polls": "Looks at the archive that is polled, by outcome.",
}
PREFIX = "marrowmap"

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Gauge:
    """A number as it is now.

    Attributes:
        name: Without the prefix.
        help: For a person.
        values: By labels.
    """

    name: str
    help: str
    values: dict[Labels, float]


class Metrics:
    """The numbers."""

    def __init__(self) -> None:
        """Start from nothing: Prometheus knows that counters restart."""
        self._counts: dict[tuple[str, Labels], float] = {}
        self._gauges: list[Callable[[], Iterable[Gauge]]] = []
        self._lock = threading.Lock()

    def count(self, name: str, by: float = 1.0, **labels: str) -> None:
        """Add to a counter."""
        key = (name, tuple(sorted(labels.items())))
        with self._lock:
            self._counts[key] = self._counts.get(key, 0.0) + by

    def total(self, name: str, **labels: str) -> float:
        """Return a counter, over all labels that are not named."""
        wanted = set(labels.items())
        with self._lock:
            return sum(v for (n, have), v in self._counts.items() if n == name and wanted <= set(have))

    def watch(self, gauges: Callable[[], Iterable[Gauge]]) -> None:
        """Ask this function for gauges whenever somebody looks."""
        self._gauges.append(gauges)

    def text(self) -> str:
        """Return everything in Prometheus' text format."""
        with self._lock:
            counts = dict(self._counts)
        lines: list[str] = []
        for name, words in COUNTERS.items():
            values = {labels: value for (n, labels), value in counts.items() if n == name}
            lines += _lines(f"{name}_total", "counter", words, values or {(): 0.0})
        for source in self._gauges:
            for gauge in source():
                lines += _lines(gauge.name, "gauge", gauge.help, gauge.values)
        return "\n".join(lines) + "\n"


def _lines(name: str, kind: str, words: str, values: dict[Labels, float]) -> list[str]:
    full = f"{PREFIX}_{name}"
    lines = [f"# HELP {full} {words}", f"# TYPE {full} {kind}"]
    for labels, value in sorted(values.items()):
        inside = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels)
        lines.append(f"{full}{{{inside}}} {value:.15g}" if inside else f"{full} {value:.15g}")
    return lines


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
