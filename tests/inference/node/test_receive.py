"""Who may send, how much, how fast, and over what."""

from __future__ import annotations

import socket
import ssl
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pynetdicom import AE
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]  # made at run time

from marrowmap.data.errors import NodeError
from marrowmap.inference.node.config import NodeSettings
from marrowmap.inference.node.node import Node
from marrowmap.inference.node.peers import TlsSettings
from marrowmap.inference.node.receive import transfer_syntaxes

Start = Callable[..., Node]
Send = Callable[..., list[int]]
MakeStudy = Callable[..., Any]


def port_of(node: Node) -> int:
    assert node.receiver is not None
    return node.receiver.port


def with_limits(settings: NodeSettings, **named: Any) -> NodeSettings:
    return replace(settings, limits=replace(settings.limits, **named))


def test_a_sender_on_the_list_is_let_in(
    settings: NodeSettings, start_node: Start, send: Send, make_study: MakeStudy
) -> None:
    node = start_node(settings)
    assert send(port_of(node), make_study(slices=3).files) == [0, 0, 0]
    assert node.metrics.total("instances_received", outcome="stored") == 3


@pytest.mark.parametrize("named", [{"calling": "STRANGER"}, {"called": "OTHER"}])
def test_a_stranger_and_a_wrong_number_are_rejected(
    named: dict[str, str], settings: NodeSettings, start_node: Start, send: Send, make_study: MakeStudy
) -> None:
    node = start_node(settings)
    with pytest.raises(ConnectionError, match="rejected"):
        send(port_of(node), make_study(slices=1).files, **named)
    assert node.metrics.total("associations_refused") == 1


def test_an_echo_is_answered(settings: NodeSettings, start_node: Start) -> None:
    entity = AE("SENDER")
    entity.add_requested_context(Verification)
    association = entity.associate("127.0.0.1", port_of(start_node(settings)), ae_title="MARROWMAP")
    assert association.send_c_echo().Status == 0x0000
    association.release()


def test_a_full_quota_answers_out_of_resources_and_the_node_lives_on(
    settings: NodeSettings, start_node: Start, send: Send, make_study: MakeStudy
) -> None:
    node = start_node(with_limits(settings, quota_gb=3e-6))  # 3,000 bytes: three slices of about 1,000
    statuses = send(port_of(node), make_study(slices=4).files)
    assert statuses == [0, 0, 0xA700, 0xA700]
    assert node.metrics.total("instances_refused", status="0xA700") == 2


def test_an_instance_beyond_the_limit_is_cut_off_before_it_is_all_read(
    settings: NodeSettings, start_node: Start, send: Send, make_study: MakeStudy
) -> None:
    node = start_node(with_limits(settings, instance_mb=0.5))
    small, large = make_study(slices=1), make_study(slices=1, EncapsulatedDocument=bytes(4_000_000))
    assert send(port_of(node), large.files) == []
    assert send(port_of(node), small.files) == [0]


def test_a_message_that_announces_four_gigabytes_is_not_waited_for(
    settings: NodeSettings, start_node: Start
) -> None:
    with socket.create_connection(("127.0.0.1", port_of(start_node(settings))), timeout=5.0) as peer:
        peer.sendall(struct.pack(">BBL", 1, 0, 0xFFFFFFFF) + bytes(1000))
        assert peer.recv(100) == b""


def test_too_many_connections_of_one_address_are_closed(
    settings: NodeSettings, start_node: Start, send: Send
) -> None:
    port = port_of(start_node(with_limits(settings, connections_per_minute=3)))
    for _ in range(3):
        send(port, [])
    with pytest.raises(ConnectionError, match="no association"):
        send(port, [])


def test_a_peer_that_hangs_up_at_once_holds_no_place(settings: NodeSettings, start_node: Start) -> None:
    node = start_node(with_limits(settings, associations=2))
    assert node.receiver is not None
    for _ in range(6):
        socket.create_connection(("127.0.0.1", node.receiver.port)).close()
    started = time.monotonic()
    node.stop()  # waits up to 5 s for associations that still run
    assert time.monotonic() - started < 3.0


def test_a_fast_sender_is_slowed_down_and_loses_nothing(
    settings: NodeSettings, start_node: Start, send: Send, make_study: MakeStudy
) -> None:
    node = start_node(with_limits(settings, instances_per_s=10.0))
    started = time.monotonic()
    assert send(port_of(node), make_study(slices=26).files) == [0] * 26
    assert time.monotonic() - started >= 0.5  # 20 at once, then 10 a second


def test_a_study_is_not_complete_while_its_association_runs_however_slowly(
    settings: NodeSettings, start_node: Start, send: Send, make_study: MakeStudy, until: Callable[..., Any]
) -> None:
    node, study = start_node(settings), make_study(slices=3)

    def slowly() -> Iterator[Path]:
        for file in study.files:
            yield file
            time.sleep(0.8)  # nothing for 0.3 s is the end of a study otherwise

    assert send(port_of(node), slowly()) == [0, 0, 0]
    until(lambda: node.overview.states()["done"] == 1)
    assert len(node.overview.lines()) == 1


def test_a_port_in_use_is_refused_and_nothing_is_left_running(
    settings: NodeSettings, start_node: Start, tmp_path: Path
) -> None:
    node = start_node(settings)
    assert settings.receive is not None
    taken = replace(settings.receive, port=port_of(node))
    with pytest.raises(NodeError, match=r"cannot listen at 127.0.0.1"):
        start_node(replace(settings, folder=tmp_path / "second", receive=taken))


def test_a_second_node_in_the_same_folder_is_refused(settings: NodeSettings, start_node: Start) -> None:
    start_node(settings)
    with pytest.raises(NodeError, match="another node uses"):
        start_node(settings)


def test_plain_encodings_come_first_and_only_what_can_be_decoded_is_taken() -> None:
    syntaxes = [str(uid) for uid in transfer_syntaxes()]
    assert syntaxes[0] == "1.2.840.10008.1.2.1"
    assert "1.2.840.10008.1.2.5" in syntaxes  # RLE needs no library
    assert "1.2.840.10008.1.2.4.102" not in syntaxes  # MPEG-4


def client_tls(files: dict[str, Path], name: str | None) -> tuple[ssl.SSLContext, str]:
    context = ssl.create_default_context(cafile=files["authority.pem"])
    if name:
        context.load_cert_chain(files[f"{name}.pem"], files[f"{name}.key"])
    return context, "127.0.0.1"


def test_with_tls_only_a_sender_with_a_certificate_of_ours_is_let_in(
    settings: NodeSettings,
    start_node: Start,
    send: Send,
    make_study: MakeStudy,
    certificates: dict[str, Path],
) -> None:
    files = certificates
    tls = TlsSettings(
        certificate=files["node.pem"], key=files["node.key"], authorities=files["authority.pem"]
    )
    assert settings.receive is not None
    limits = replace(settings.limits, idle_s=2.0)
    node = start_node(replace(settings, limits=limits, receive=replace(settings.receive, tls=tls)))
    images, port = make_study(slices=2).files, port_of(node)
    with socket.create_connection(("127.0.0.1", port)):  # silent: it must keep nobody else waiting
        assert send(port, images, tls_args=client_tls(files, "sender")) == [0, 0]
    for name in (None, "stranger"):
        with pytest.raises(ConnectionError):
            send(port, images, tls_args=client_tls(files, name))
    with pytest.raises(ConnectionError):
        send(port, images)
    assert node.metrics.total("instances_received") == 2
