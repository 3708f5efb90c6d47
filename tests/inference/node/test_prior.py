"""The earlier exam: the right one, of the right person, fetched and inferred once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from marrowmap.data.errors import StudyError
from marrowmap.inference.node.archive import RemoteStudy
from marrowmap.inference.node.config import NodeSettings, PriorSettings
from marrowmap.inference.node.node import Node
from marrowmap.inference.node.prior import ThisExam, earlier_studies

Start = Callable[..., Node]
Send = Callable[..., list[int]]
Make = Callable[..., Any]
Until = Callable[..., Any]

EXAM = ThisExam(uid="1.9", when="20250601080000", patient_id="x", birth_date="19500101")


def remote(uid: str, when: str, **named: Any) -> RemoteStudy:
    values: dict[str, Any] = {
        "birth_date": "19500101", "description": "", "modalities": frozenset({"MR"}), "instances": 500,
    }  # fmt: skip
    return RemoteStudy(uid=uid, when=when, **(values | named))


def uids(*studies: RemoteStudy, **named: Any) -> list[str]:
    return [study.uid for study in earlier_studies(list(studies), EXAM, PriorSettings(**named))]


def test_the_newest_earlier_exam_comes_first() -> None:
    studies = [remote("1.1", "20240101"), remote("1.2", "20250301"), remote("1.3", "20241201")]
    assert uids(*studies) == ["1.2", "1.3", "1.1"]
    assert uids(*studies, candidates=1) == ["1.2"]


def test_a_later_exam_the_exam_itself_and_one_too_old_are_none() -> None:
    studies = [remote("1.1", "20250701"), remote("1.9", "20250101"), remote("1.2", "20190101")]
    assert uids(*studies) == []
    assert uids(*studies, years=7.0) == ["1.2"]


def test_on_the_same_day_the_time_decides_and_an_unknown_time_is_none() -> None:
    studies = [remote("1.1", "20250601070000"), remote("1.2", "20250601"), remote("1.3", "20250601090000")]
    assert uids(*studies) == ["1.1"]


def test_another_birth_date_is_another_person() -> None:
    assert uids(remote("1.1", "20250101", birth_date="19500102")) == []
    assert uids(remote("1.1", "20250101", birth_date="")) == ["1.1"]


def test_what_is_no_mr_or_too_small_is_not_tried() -> None:
    studies = [
        remote("1.1", "20250101", modalities=frozenset({"CT"})),
        remote("1.2", "20250102", instances=39),
        remote("1.3", "20250103", modalities=frozenset(), instances=None),
    ]
    assert uids(*studies) == ["1.3"]


def comparing(settings: NodeSettings, place: Any, node_port: int = 0) -> NodeSettings:
    prior = PriorSettings(archive="pacs", instances=4)
    receive = settings.receive
    assert receive is not None
    return replace(settings, archives=(place,), prior=prior, receive=replace(receive, port=node_port))


@pytest.mark.parametrize(
    ("how", "named"),
    [("web", {}), ("dimse", {"retrieve": "get"}), ("dimse", {"retrieve": "move"})],
    ids=["wado", "c-get", "c-move"],
)
def test_the_earlier_exam_is_fetched_inferred_and_compared_with_once(
    how: str,
    named: dict[str, Any],
    make_orthanc: Make,
    place: Make,
    settings: NodeSettings,
    start_node: Start,
    stand_in: Any,
    make_study: Make,
    send: Send,
    until: Until,
    port: int,
) -> None:
    person = {"PatientID": "person-765"}
    archive = make_orthanc(port)
    process = archive.start()
    try:
        earlier = make_study(slices=5, StudyDate="20240601", **person)
        send(archive.dicom_port, earlier.files, called="ORTHANC")
        inference = stand_in.StandIn()
        node = start_node(comparing(settings, place(archive, how, **named), port), inference)
        for expected, date in ((1, "20250601"), (2, "20250602")):
            exam = make_study(slices=6, StudyDate=date, **person)
            send(archive.dicom_port, exam.files, called="ORTHANC")
            send(port, exam.files)
            until(lambda expected=expected: node.overview.states()["done"] == expected)
        first, second, third = inference.tasks
        # The earlier exam, then the first compared with it; the second with the first, without another run.
        assert first.prior is None
        assert second.prior == first.out
        assert third.prior == second.out
        assert archive.results(earlier.uid) == []
    finally:
        process.kill()
        process.wait()


def test_an_earlier_study_that_is_no_exam_is_passed_over_for_good(
    orthanc: Any,
    place: Make,
    settings: NodeSettings,
    start_node: Start,
    stand_in: Any,
    make_study: Make,
    send: Send,
    until: Until,
) -> None:
    def refuse_knees(task: Any) -> None:
        if len(list(task.study.iterdir())) == 5:
            raise StudyError("no high-b diffusion series")

    person = {"PatientID": "person-knee"}
    send(orthanc.dicom_port, make_study(slices=5, StudyDate="20250101", **person).files, called="ORTHANC")
    inference = stand_in.StandIn(before=refuse_knees)
    node = start_node(comparing(settings, place(orthanc, "web")), inference)
    for expected in (1, 2):
        send(port_of(node), make_study(slices=6, StudyDate="20250201", StudyTime="", **person).files)
        until(lambda expected=expected: node.overview.states()["done"] == expected)
    assert [task.prior for task in inference.tasks] == [None, None, None]  # the knee once, two exams
    assert {line.note for line in node.overview.lines()} == {"no earlier whole-body exam found"}


def test_an_archive_that_cannot_be_asked_costs_the_comparison_only(
    settings: NodeSettings,
    start_node: Start,
    make_study: Make,
    send: Send,
    until: Until,
    place: Make,
) -> None:
    nobody = type("Nobody", (), {"dicom_port": 9})()
    node = start_node(comparing(settings, place(nobody, "dimse")))
    send(port_of(node), make_study().files)
    until(lambda: node.overview.states()["sending"] == 1)
    assert node.overview.lines()[0].note.startswith("no comparison: ORTHANC at 127.0.0.1:9 does not answer")


@pytest.mark.parametrize("patient_id", ["", "*", "AB?C"])
def test_an_identifier_that_would_match_others_is_never_asked_for(
    patient_id: str,
    orthanc: Any,
    place: Make,
    settings: NodeSettings,
    start_node: Start,
    make_study: Make,
    send: Send,
    until: Until,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from marrowmap.inference.node.dicomweb import WebArchive

    monkeypatch.setattr(WebArchive, "find", lambda *_: pytest.fail("it was asked for"))
    node = start_node(comparing(settings, place(orthanc, "web")))
    send(port_of(node), make_study(PatientID=patient_id).files)
    until(lambda: node.overview.states()["done"] == 1)
    assert node.overview.lines()[0].note.startswith("no comparison: no usable patient identifier")


def port_of(node: Node) -> int:
    assert node.receiver is not None
    return node.receiver.port
