"""`marrowmap serve` as a program: checks, starts, is well, stops."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from marrowmap.data.errors import BundleError, NodeError
from marrowmap.inference.node.node import Node
from marrowmap.scripts import serve


@pytest.fixture
def config(tmp_path: Path, port: int) -> Path:
    settings = {
        "folder": str(tmp_path / "node"),
        "receive": {"calling_ae_titles": ["SENDER"], "port": 0},
        "work": {"weights": str(tmp_path / "no-weights")},
        "limits": {"free_gb": 0.0},
        "status_port": port,
    }
    path = tmp_path / "node.yaml"
    path.write_text(json.dumps(settings))
    return path


def test_missing_weights_are_refused_before_anything_starts(config: Path) -> None:
    for words in (["--check"], []):
        with pytest.raises(BundleError, match=r"no weights in .*no-weights"):
            serve.main(["--config", str(config), *words])


def test_a_good_configuration_is_named_good(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(serve, "_model", lambda _: "small 0.1 abc")
    assert serve.main(["--config", str(config), "--check"]) == 0
    assert capsys.readouterr().out == "configuration is good; model small 0.1 abc\n"


def test_a_wrong_key_exits_2_and_names_it(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        serve.main(["--config", str(config), "--limits.quota_tb", "3"])
    assert stop.value.code == 2
    assert "quota_tb" in capsys.readouterr().err


def test_the_health_of_a_node_that_is_not_there_is_an_error(config: Path) -> None:
    with pytest.raises(NodeError, match="the node is not well: no answer"):
        serve.main(["--config", str(config), "--health"])


def test_the_health_of_a_node_that_runs_is_printed(
    config: Path,
    stand_in: Any,
    start_node: Callable[..., Node],
    capsys: pytest.CaptureFixture[str],
) -> None:
    start_node(stand_in.read_settings(config))
    assert serve.main(["--config", str(config), "--health"]) == 0
    assert json.loads(capsys.readouterr().out)["status"] == "ok"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM")
def test_a_polite_stop_ends_a_busy_node_and_the_study_waits_for_the_next(
    tmp_path: Path,
    port: int,
    settings: Any,
    stand_in: Any,
    make_study: Callable[..., Any],
    send: Callable[..., list[int]],
    until: Callable[..., Any],
    start_node: Callable[..., Node],
) -> None:
    config = tmp_path / "stop.yaml"
    receive = {"calling_ae_titles": ["SENDER"], "port": port, "quiet_s": 0.2}
    limits = {"free_gb": 0.0}
    words = {"folder": str(settings.folder), "receive": receive, "limits": limits, "status_port": 0}
    config.write_text(json.dumps(words))
    with subprocess.Popen([sys.executable, stand_in.__file__, config, "600", "1"]) as process:
        until(lambda: _answers(port))
        send(port, make_study(slices=3).files)
        until(lambda: list(settings.folder.glob("jobs/*/study/*.dcm")))
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
    node = start_node(settings)
    until(lambda: node.overview.states()["done"] == 1)
    assert node.overview.lines()[0].attempts == 1  # a stop is nobody's fault


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
