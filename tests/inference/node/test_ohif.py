"""What a radiologist's viewer makes of our objects: OHIF on Orthanc, driven in a headless browser.

OHIF is not in any package index that Python or Debian know; docs/node.md says how to get it and to run this.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from mimetypes import guess_type
from pathlib import Path
from typing import Any

import pydicom
import pytest

from marrowmap.scripts.main import main

pytestmark = pytest.mark.long

#: Folder of OHIF's built pages.
OHIF = Path(os.environ.get("MARROWMAP_OHIF", "not-set"))
#: A simulated study in which the shipped weights find lesions.
SEED = 20_000
PATIENCE_S = 120.0
#: The viewer draws with WebGL, which needs a renderer in software here.
FLAGS = (
    "--headless", "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--window-size=1400,1000",
    "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--remote-debugging-pipe",
)  # fmt: skip
#: The tour covers the page; the panel of segmentations is closed at first.
END_TOUR = """[...document.querySelectorAll("*")]
    .filter(e => !e.childElementCount && e.textContent === "Skip all").forEach(e => e.click())"""
OPEN_PANEL = """(() => {
    const button = document.querySelector('[data-cy="panelSegmentation-btn"]');
    if (button && !document.body.innerText.includes("Segmentations")) button.click();
})()"""


def settings_of_the_viewer() -> str:
    source = {
        "namespace": "@ohif/extension-default.dataSourcesModule.dicomweb",
        "sourceName": "dicomweb",
        "configuration": {
            "friendlyName": "Orthanc", "name": "orthanc", "wadoUriRoot": "/dicom-web",
            "qidoRoot": "/dicom-web", "wadoRoot": "/dicom-web", "imageRendering": "wadors",
            "thumbnailRendering": "wadors", "enableStudyLazyLoad": True, "supportsWildcard": True,
            "omitQuotationForMultipartRequest": True, "bulkDataURI": {"enabled": True},
        },
    }  # fmt: skip
    plain = {
        "routerBasename": None, "extensions": [], "modes": [], "showStudyList": True,
        "disableConfirmationPrompts": True, "maxNumberOfWebWorkers": 2,
        "investigationalUseDialog": {"option": "never"},
        "defaultDataSourceName": "dicomweb", "dataSources": [source],
    }  # fmt: skip
    return f"window.config = {json.dumps(plain)};"


class Pages(BaseHTTPRequestHandler):
    """OHIF's pages and, under the same address, the archive: a browser asks no other one."""

    def __init__(self, archive: str, *arguments: Any) -> None:
        self._archive = archive
        super().__init__(*arguments)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path.startswith("/dicom-web"):
            status, body, kind = self._from_archive()
        elif path == "/app-config.js":
            status, body, kind = 200, settings_of_the_viewer().encode(), "text/javascript"
        else:
            file = OHIF / path.lstrip("/")
            file = file if file.is_file() else OHIF / "index.html"
            status, body, kind = (
                200,
                file.read_bytes(),
                guess_type(file.name)[0] or "application/octet-stream",
            )
        self.send_response(status)
        for name, value in {
            "Content-Type": kind, "Content-Length": str(len(body)),
            "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp",
        }.items():  # fmt: skip
            self.send_header(name, value)
        with contextlib.suppress(ConnectionError):  # a browser that is closed has asked for more
            self.end_headers()
            self.wfile.write(body)

    def _from_archive(self) -> tuple[int, bytes, str]:
        # With the browser's own Host the archive's links to pixels point here, not to its own port.
        kept = {name: value for name, value in self.headers.items() if name.lower() in ("accept", "host")}
        request = urllib.request.Request(self._archive + self.path, headers=kept)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read(), answer.headers.get("Content-Type", "")
        except urllib.error.HTTPError as error:
            return error.code, error.read(), ""


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A simulated study and what `infer` writes of it."""
    if not (OHIF / "index.html").is_file():
        pytest.skip("needs OHIF's built pages in $MARROWMAP_OHIF (docs/node.md)")
    images, out = tmp_path_factory.mktemp("images") / "exam", tmp_path_factory.mktemp("found") / "out"
    assert main(["simulate", str(images), "--seed", str(SEED), "--quiet"]) == 0
    assert main(["infer", str(images / "dicom"), str(out), "--quiet"]) == 0
    return images / "dicom", out / "dicom"


@pytest.fixture(scope="module")
def viewer(orthanc: Any, study: tuple[Path, Path]) -> Iterator[str]:
    """The address of OHIF on an archive that holds the study and its results."""
    for folder in study:
        for path in folder.rglob("*.dcm"):
            url = f"http://127.0.0.1:{orthanc.http_port}/instances"
            with urllib.request.urlopen(urllib.request.Request(url, data=path.read_bytes()), timeout=60):
                pass
    address = f"http://127.0.0.1:{orthanc.http_port}"
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Pages, address))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def browser(open_browser: Callable[..., Any], tmp_path: Path) -> Iterator[Any]:
    """A browser that can draw with WebGL."""
    found = open_browser(tmp_path, FLAGS)
    yield found
    found.close()


def shown_when(browser: Any, address: str, words: list[str]) -> str:
    """Open a page and return its text when all words are in it, or when patience has ended."""
    browser.load(address)
    shown, until = "", time.monotonic() + PATIENCE_S
    while not all(word in shown for word in words) and time.monotonic() < until:
        time.sleep(2.0)
        browser.run(END_TOUR)
        browser.run(OPEN_PANEL)
        shown = browser.run("document.body.innerText")
    return shown


@pytest.mark.parametrize("which", ["seg.dcm", "seg_source_*.dcm"])
def test_the_viewer_names_every_lesion_of_our_segmentation(
    which: str, study: tuple[Path, Path], viewer: str, browser: Any
) -> None:
    segmentation = pydicom.dcmread(next(iter(sorted(study[1].glob(which)))), stop_before_pixels=True)
    names = [segment.SegmentLabel for segment in segmentation.SegmentSequence]
    assert names
    assert all(name.startswith("Lesion ") for name in names)
    address = (
        f"{viewer}/viewer?StudyInstanceUIDs={segmentation.StudyInstanceUID}"
        f"&initialSeriesInstanceUID={segmentation.SeriesInstanceUID}"
    )
    shown = shown_when(browser, address, names)
    assert [name for name in names if name not in shown] == []
    hosts = {url.split("/")[2] for url in browser.requests if url.startswith("http")}
    assert hosts == {viewer.removeprefix("http://")}


def test_the_study_is_listed_and_the_report_reads_as_text(
    study: tuple[Path, Path], viewer: str, browser: Any
) -> None:
    report = pydicom.dcmread(study[1] / "sr.dcm", stop_before_pixels=True)
    patient = str(report.PatientID)
    assert patient in shown_when(browser, viewer, [patient])
    address = (
        f"{viewer}/viewer?StudyInstanceUIDs={report.StudyInstanceUID}"
        f"&initialSeriesInstanceUID={report.SeriesInstanceUID}"
    )
    words = ["Oncology Measurement Report", "marrowmap-lesion-001"]
    shown = shown_when(browser, address, words)
    assert [word for word in words if word not in shown] == []
