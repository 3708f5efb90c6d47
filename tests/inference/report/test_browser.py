from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from marrowmap.inference.report.pictures import ReportPictures
from marrowmap.inference.report.report_html import render_html

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
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
    "--enable-logging=stderr",
    "--window-size=1400,1000",
    "--virtual-time-budget=3000",
]

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="needs /usr/bin/chromium to open the page")


def browse(page: Path, *flags: str, anchor: str = "") -> subprocess.CompletedProcess[str]:
    profile = f"--user-data-dir={page.parent / 'profile'}"
    command = [str(CHROMIUM), *FLAGS, profile, *flags, f"{page.as_uri()}{anchor}"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)


def console(run: subprocess.CompletedProcess[str]) -> list[str]:
    return [line for line in run.stderr.splitlines() if ":CONSOLE" in line]


@pytest.fixture
def page(tmp_path: Path, report: dict[str, Any], pictures: ReportPictures) -> Path:
    path = tmp_path / "report.html"
    html = render_html(report, pictures)
    path.write_text(html, encoding="utf-8", newline="\n")
    return path


def test_the_page_opens_without_a_complaint_and_marks_the_lesion_asked_for(page: Path) -> None:
    run = browse(page, "--dump-dom", anchor="#lesion-3")
    assert console(run) == []
    assert 'data-ready="yes"' in run.stdout
    assert re.search(r'<tr id="lesion-3"[^>]*class="on"', run.stdout)
    assert "Lesion 3: ribs, sternum, clavicles and scapulae" in run.stdout


def test_the_page_is_painted_with_slices_and_outlines(page: Path) -> None:
    picture = page.with_suffix(".png")
    browse(page, f"--screenshot={picture}")
    pixels = np.asarray(Image.open(picture).convert("RGB")).astype(int)
    red, green, blue = pixels[..., 0], pixels[..., 1], pixels[..., 2]
    assert pixels.shape == (1000, 1400, 3)
    assert ((red > 180) & (green < 80) & (blue < 100)).sum() > 100  # outlines of certain lesions
    assert (pixels.sum(axis=2) < 60).sum() > 20_000  # the dark viewer
    assert pixels[:, :, 0].mean() > 120  # on a light page


def test_a_script_that_someone_changed_does_not_run(page: Path) -> None:
    page.write_text(
        page.read_text(encoding="utf-8").replace('"use strict";', '"use strict"; '), encoding="utf-8"
    )
    run = browse(page, "--dump-dom")
    assert 'data-ready="yes"' not in run.stdout
    assert any("Content Security Policy" in line for line in console(run))
