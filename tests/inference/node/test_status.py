"""The status page: for whoever has the token; the health check for everybody on this machine."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

import pytest

from marrowmap.inference.node.config import NodeSettings
from marrowmap.inference.node.metrics import Gauge, Metrics
from marrowmap.inference.node.node import Node
from marrowmap.inference.node.status import ask_health, make_token

Start = Callable[..., Node]


@pytest.fixture
def node(settings: NodeSettings, start_node: Start) -> Node:
    return start_node(settings)


def ask(node: Node, path: str, **headers: str) -> tuple[HTTPResponse, str]:
    assert node.status is not None
    connection = HTTPConnection("127.0.0.1", node.status.port, timeout=10)
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer, answer.read().decode()
    finally:
        connection.close()


def test_without_the_token_there_is_no_page_and_no_number(node: Node) -> None:
    for path in ("/", "/metrics", "/?token=", "/?token=wrong"):
        answer, text = ask(node, path)
        assert (answer.status, text) == (401, "need the token: see docs/node.md\n")


def test_the_token_in_the_address_moves_into_a_cookie(node: Node) -> None:
    answer, _ = ask(node, f"/?token={node.token}")
    assert (answer.status, answer.headers["Location"]) == (303, "/")
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly; SameSite=Strict" in cookie
    answer, text = ask(node, "/", Cookie=cookie.partition(";")[0])
    assert answer.status == 200
    assert "Research use only" in text


def test_prometheus_reads_the_numbers_with_a_bearer_token(node: Node) -> None:
    answer, text = ask(node, "/metrics", Authorization=f"Bearer {node.token}")
    assert answer.status == 200
    assert 'marrowmap_jobs{state="queued"} 0' in text.splitlines()
    assert "# TYPE marrowmap_instances_received_total counter" in text.splitlines()


def test_the_health_check_needs_no_token_and_tells_no_study(node: Node) -> None:
    answer, text = ask(node, "/health")
    parts = json.loads(text)["parts"]
    assert answer.status == 200
    assert {"receive", "disk", "close studies", "worker 1 (auto)", "inference 1"} <= set(parts)


def test_a_part_that_fails_makes_the_health_check_fail(
    settings: NodeSettings, start_node: Start, stand_in: Any
) -> None:
    node = start_node(settings, stand_in.StandIn(is_alive=False))
    answer, text = ask(node, "/health")
    assert answer.status == 503
    assert json.loads(text)["parts"]["inference 1"] is False
    assert node.status is not None
    is_well, words = ask_health(node.status.port)
    assert (is_well, json.loads(words)["status"]) == (False, "failing")


def test_nobody_there_is_not_well(port: int) -> None:
    is_well, words = ask_health(port)
    assert not is_well
    assert words.startswith(f"no answer at 127.0.0.1:{port}")


def test_other_pages_do_not_exist(node: Node) -> None:
    assert ask(node, "/../../etc/passwd")[0].status == 404


def test_pages_are_not_kept_and_load_nothing(node: Node) -> None:
    answer, _ = ask(node, "/", Authorization=f"Bearer {node.token}")
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")


@pytest.mark.skipif(os.name == "nt", reason="Windows has other rights")
def test_the_token_is_ours_to_read_alone_and_stays_the_same(tmp_path: Path) -> None:
    token = make_token(tmp_path / "token")
    assert len(token) >= 40
    assert stat.S_IMODE((tmp_path / "token").stat().st_mode) == 0o600
    assert make_token(tmp_path / "token") == token


def test_numbers_are_written_as_prometheus_wants_them() -> None:
    metrics = Metrics()
    metrics.count("objects_sent", archive='a"b\\c')
    metrics.count("objects_sent", archive='a"b\\c')
    metrics.watch(lambda: [Gauge(name="jobs", help="Jobs.", values={(("state", "done"),): 3.0})])
    lines = metrics.text().splitlines()
    assert 'marrowmap_objects_sent_total{archive="a\\"b\\\\c"} 2' in lines
    assert lines[-3:] == [
        "# HELP marrowmap_jobs Jobs.",
        "# TYPE marrowmap_jobs gauge",
        'marrowmap_jobs{state="done"} 3',
    ]
