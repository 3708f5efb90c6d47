"""How long the node takes beside the inference itself, from the last instance to the stored results."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from marrowmap.inference.node.node import Node

MOST_S = 5.0
#: What an archive that pushes whole studies needs, by docs/node.md.
QUIET_S = 3.0
#: Small objects in number like a composed series: sending is one answer each.
COMPOSED = 200


@pytest.mark.long
@pytest.mark.parametrize("how", ["dimse", "web"])
def test_results_are_stored_at_most_5_s_after_the_last_instance_and_the_inference(
    how: str,
    settings: Any,
    stand_in: Any,
    orthanc: Any,
    place: Callable[..., Any],
    make_study: Callable[..., Any],
    send: Callable[..., list[int]],
    until: Callable[..., Any],
    start_node: Callable[..., Node],
    record_property: Callable[[str, object], None],
) -> None:
    receive = replace(settings.receive, quiet_s=QUIET_S)
    changed = replace(settings, receive=receive, is_synced=True, archives=(place(orthanc, how),))
    node = start_node(changed, stand_in.StandIn(seconds=1.0, composed=COMPOSED))
    study = make_study(slices=60)
    assert node.receiver is not None
    assert send(node.receiver.port, study.files) == [0] * 60
    until(lambda: node.metrics.total("results_delivered") == 1)
    assert len(orthanc.results(study.uid)) == COMPOSED + len(stand_in.KINDS)
    inferred = node.metrics.total("infer_seconds")
    assert inferred >= 1.0
    above = node.metrics.total("results_delay_seconds") - inferred
    print(f"{how}: {above:.2f} s above the inference, {QUIET_S} s of them waiting")
    record_property("seconds_above_infer", above)
    assert QUIET_S <= above <= MOST_S
