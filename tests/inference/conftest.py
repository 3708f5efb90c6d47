"""A stand-in for weights and network, for tests of what comes before and after them; a headless browser."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest

from marrowmap.data.exam import Sequence
from marrowmap.data.model_input import CHANNELS, ModelInputSettings
from marrowmap.data.skeleton import REGION_CHANNELS, Region
from marrowmap.inference import pipeline
from marrowmap.models.bundle import Bundle


class BrightDiffusion:
    """Stands in for a network: bright diffusion is lesion, slow water is pelvis."""

    name = "bright diffusion"
    device = "cpu"
    patch_size = (32, 32, 48)

    def run(self, patch: np.ndarray) -> np.ndarray:
        dwi, adc = (patch[CHANNELS.index(s)] for s in (Sequence.DWI_HIGH, Sequence.ADC))
        logits = np.full((1 + REGION_CHANNELS, *patch.shape[1:]), -8.0, dtype=np.float32)
        logits[0] = np.where(dwi > 0.7, 8.0, -8.0)
        is_bone = (adc > 0.2) & (adc < 1.0)
        logits[1] = np.where(is_bone, -8.0, 8.0)
        logits[1 + Region.SACRUM_PELVIS] = np.where(is_bone, 8.0, -8.0)
        return logits

    def run_many(self, patches: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        return (self.run(patch) for patch in patches)


class UseBrightDiffusion(Protocol):
    """Makes the pipeline take the stand-in for weights and engine, for as long as the patch holds."""

    def __call__(self, monkeypatch: pytest.MonkeyPatch, folder: Path, *, sha256: str = "0" * 64) -> None: ...


@pytest.fixture(scope="session")
def use_bright_diffusion() -> UseBrightDiffusion:
    def use(monkeypatch: pytest.MonkeyPatch, folder: Path, *, sha256: str = "0" * 64) -> None:
        bundle = Bundle(
            name="stand-in",
            version="1",
            input=ModelInputSettings(spacing_mm=4.0),
            network={"channels_in": 5, "regions": REGION_CHANNELS},
            patch_size=BrightDiffusion.patch_size,
            lesion_threshold=0.5,
            trained_on="nothing",
            intended_use="tests",
            folder=folder,
            sha256=sha256,
        )
        monkeypatch.setattr(pipeline, "load_bundle", lambda folder: bundle)
        monkeypatch.setattr(pipeline, "open_engine", lambda bundle, device, threads: BrightDiffusion())

    return use


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

    def __init__(self, profile: Path, flags: Iterable[str] = FLAGS) -> None:
        """Start the browser with these flags; it reads commands from descriptor 3 and answers on 4."""
        down_read, down_write = os.pipe()
        up_read, up_write = os.pipe()
        wiring = f'exec 3<&{down_read} 4>&{up_write}; exec {CHROMIUM} "$@"'
        self.process = subprocess.Popen(
            ["bash", "-c", wiring, "chromium", *flags, f"--user-data-dir={profile}", "about:blank"],
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
        self.load("about:blank")
        self.console, self.requests = [], []
        started = time.monotonic()
        self.load(f"{page.as_uri()}{anchor}")
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

    def load(self, address: str) -> None:
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


@pytest.fixture(scope="session")
def open_browser() -> Callable[[Path, Iterable[str]], Browser]:
    """A function that starts a browser of one's own with other flags; the test closes it."""
    if not CHROMIUM.exists():
        pytest.skip(f"needs {CHROMIUM}")
    return Browser
