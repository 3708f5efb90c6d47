"""A headless browser, and exams with many kinds of lesions, for the tests of the page."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from marrowmap.data.grid import Grid
from marrowmap.data.skeleton import Region
from marrowmap.inference.findings import AdcStatistics, Lesion
from marrowmap.inference.findings_json import to_json
from marrowmap.inference.pattern import PatternSettings, diffuse_evidence
from marrowmap.inference.report.pictures import ReportImages
from marrowmap.inference.report.write import write_outputs
from marrowmap.inference.revise import ReportMaps, recompute, write_images

Report = dict[str, Any]

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--window-size=1400,1000",
    "--remote-debugging-pipe",
)
PATIENCE_S = 60.0


class Browser:
    """One page of one browser."""

    def __init__(self, profile: Path) -> None:
        """Start the browser; it reads commands from descriptor 3 and answers on 4."""
        down_read, down_write = os.pipe()
        up_read, up_write = os.pipe()
        wiring = f'exec 3<&{down_read} 4>&{up_write}; exec {CHROMIUM} "$@"'
        self.process = subprocess.Popen(
            ["bash", "-c", wiring, "chromium", *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            pass_fds=(down_read, up_write),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(down_read)
        os.close(up_write)
        self._to, self._from, self._rest, self._number = down_write, up_read, b"", 0
        self.session: str | None = None
        self._is_loaded = False
        self.console: list[str] = []
        self.requests: list[str] = []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "Accessibility"):
            self.send(f"{domain}.enable")

    def close(self) -> None:
        """End the browser and wait until it is gone."""
        self.process.terminate()
        self.process.wait(timeout=20)
        os.close(self._to)
        os.close(self._from)

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send one command and return its result; what happens meanwhile is kept."""
        number = self._tell(method, **parameters)
        deadline = time.monotonic() + PATIENCE_S
        while True:
            answer = self._read(deadline)
            if answer.get("id") == number:
                assert "error" not in answer, answer["error"]
                return answer["result"]
            self._note(answer)

    def open(self, page: Path, anchor: str = "", patience_s: float = PATIENCE_S) -> float:
        """Open a page, wait until it says that it is ready, and return how many seconds that took."""
        self._load("about:blank")
        self.console, self.requests = [], []
        started = time.monotonic()
        self._load(f"{page.as_uri()}{anchor}")
        while self.run("document.documentElement.dataset.ready") != "yes":
            assert time.monotonic() - started < patience_s, self.console
            time.sleep(0.05)
        return time.monotonic() - started

    def cpu_seconds(self) -> float:
        """Return the processor time of the browser so far, all its processes together."""
        children: dict[int, list[int]] = {}
        spent: dict[int, float] = {}
        for path in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):  # a process that has just ended
                fields = path.read_text().rpartition(")")[2].split()
                number = int(path.parent.name)
                children.setdefault(int(fields[1]), []).append(number)
                spent[number] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        waiting, total = [self.process.pid], 0.0
        while waiting:
            number = waiting.pop()
            waiting += children.get(number, [])
            total += spent.get(number, 0.0)
        return total

    def _load(self, address: str) -> None:
        """Go to an address and wait until all of it is there; a question asked before gets no answer."""
        self._is_loaded = False
        self.send("Page.navigate", url=address)
        deadline = time.monotonic() + PATIENCE_S
        while not self._is_loaded:
            self._note(self._read(deadline))

    def run(self, script: str) -> Any:
        """Return the value of an expression in the page."""
        result = self.send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def press(self, key: str) -> None:
        """Press and release a key: a letter, or `Tab` or `Enter`."""
        text = {"Enter": "\r", "Tab": "\t"}.get(key, key)
        code = {"Enter": 13, "Tab": 9}.get(key, ord(key[0].upper()))
        for kind in ("keyDown", "keyUp"):
            self.send(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                text=text if kind == "keyDown" else "",
                windowsVirtualKeyCode=code,
            )

    def _tell(self, method: str, **parameters: Any) -> int:
        """Send one command and return its number; the answer comes later."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        return self._number

    def _note(self, event: dict[str, Any]) -> None:
        method, found = event.get("method"), event.get("params", {})
        if method == "Page.loadEventFired":
            self._is_loaded = True
        elif method == "Page.javascriptDialogOpening":
            self._tell("Page.handleJavaScriptDialog", accept=True)  # decisions not saved: leave all the same
        elif method == "Runtime.consoleAPICalled":
            self.console.append(str(found["args"]))
        elif method == "Runtime.exceptionThrown":
            self.console.append(str(found["exceptionDetails"]))
        elif method == "Log.entryAdded":
            self.console.append(found["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            self.requests.append(found["request"]["url"])

    def _read(self, deadline: float) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._from], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, "the browser does not answer"
            found = os.read(self._from, 1 << 16)
            assert found, "the browser is gone"
            self._rest += found
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for all tests; those that need it skip where there is none."""
    if not CHROMIUM.exists():
        pytest.skip(f"needs {CHROMIUM} to open the page")
    found = Browser(tmp_path_factory.mktemp("profile"))
    yield found
    found.close()


SHAPE, SPACING_MM = (24, 16, 40), (5.0, 5.0, 5.0)


def random_lesion(number: int, random: np.random.Generator, *, small: bool, is_calibrated: bool) -> Lesion:
    """Return a lesion of any kind, most of them near the limits of the rules."""
    diameter = float(random.uniform(3.0, 6.5) if small else random.choice([4.9, 5.0, 8.0, 23.0, 40.0]))
    kind = random.choice(["focal", "focal", "focal", "paramedullary", "extramedullary"])
    is_placed = kind != "extramedullary" and random.random() > 0.1
    return Lesion(
        id=number,
        region=random.choice([region.key for region in Region]) if is_placed else None,
        kind=kind,
        status=random.choice(["active", "treated", "indeterminate"]),
        certainty="certain" if random.random() < 0.5 else "equivocal",
        suspected_benign="haemangioma" if random.random() < 0.2 else None,
        probability=round(float(random.uniform(0.2, 1.0)), 3),
        focal_probability=round(float(random.uniform(0.1, 1.0)), 3) if is_calibrated else None,
        volume_ml=1.0,
        longest_diameter_mm=diameter,
        diameter_uncertainty_mm=2.5,
        perpendicular_diameter_mm=0.98 * diameter,
        centroid_ras_mm=(float(number), 2.0, 3.0),
        adc_um2_per_s=AdcStatistics(mean=800.0, median=800.0, p10=700.0, p90=900.0),
        dwi_to_muscle=5.0,
        fat_fraction=None,
    )


@pytest.fixture
def make_exam(report: Report, tmp_path: Path) -> Callable[..., tuple[Path, ReportMaps]]:
    """Return a function that writes the output folder of an exam with random lesions."""

    def make(
        *, lesions: int, seed: int, small: bool = False, grade: str | None = "none", **more: Any
    ) -> tuple[Path, ReportMaps]:
        random = np.random.default_rng(seed)
        found = [
            random_lesion(number, random, small=small, is_calibrated="doubt" in more)
            for number in range(1, lesions + 1)
        ]
        labels = np.zeros(SHAPE, dtype=np.uint16)
        for lesion in found:
            corner = [random.integers(0, size - 5) for size in SHAPE]
            labels[tuple(slice(at, at + random.integers(1, 5)) for at in corner)] = lesion.id
        maps = ReportMaps(
            lesion_labels=labels,
            regions=random.integers(0, 9, SHAPE).astype(np.uint8),
            adc=np.where(random.random(SHAPE) < 0.1, 0.0, random.integers(1, 3600, SHAPE)).astype(np.float32),
            grid=Grid(shape=SHAPE, affine_ras_mm=np.diag([*SPACING_MM, 1.0])),
        )
        evidence = diffuse_evidence([], PatternSettings()) | {"vertebral_grade": grade}
        made = report | {"lesions": to_json(found), "pattern": report["pattern"] | {"evidence": evidence}}
        whole = recompute(made | more, {}, maps)
        write_exam(tmp_path / "out", {key: whole[key] for key in whole if key != "revision"}, maps)
        return tmp_path / "out", maps

    return make


def write_exam(out: Path, report: Report, maps: ReportMaps) -> None:
    """Write an output folder as `infer` does."""
    random = np.random.default_rng(1)
    signal = random.uniform(10.0, 100.0, SHAPE).astype(np.float32)
    images = ReportImages(
        dwi_high=signal, t1=signal, stir=None, lesion_labels=maps.lesion_labels, spacing_mm=SPACING_MM
    )
    affine = maps.grid.affine_ras_mm
    written = {
        "lesions": (maps.lesion_labels, affine),
        "regions": (maps.regions, affine),
        "lesion_probability": (np.zeros(SHAPE, dtype=np.float32), affine),
        "adc": (maps.adc, affine),
    }
    write_outputs(out, report, images, written, also=[lambda folder: write_images(folder, images)])
