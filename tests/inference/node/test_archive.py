"""The whole way round with a real archive: images in, results out and equal, interleaved, polled."""

from __future__ import annotations

import logging
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pydicom
import pytest

from marrowmap.data.errors import StudyError
from marrowmap.inference.node.config import NodeSettings, PollSettings
from marrowmap.inference.node.node import Node

Start = Callable[..., Node]
Send = Callable[..., list[int]]
Make = Callable[..., Any]
Until = Callable[..., Any]


def port_of(node: Node) -> int:
    assert node.receiver is not None
    return node.receiver.port


def is_done(node: Node, count: int = 1) -> Callable[[], bool]:
    return lambda: node.overview.states()["done"] == count


def by_uid(datasets: list[pydicom.Dataset]) -> dict[str, pydicom.Dataset]:
    return {str(dataset.SOPInstanceUID): dataset for dataset in datasets}


@pytest.mark.parametrize("way_out", ["dimse", "web"])
@pytest.mark.parametrize("way_in", ["dcmtk", "pynetdicom"])
def test_results_are_in_the_archive_as_they_were_written(
    way_in: str,
    way_out: str,
    orthanc: Any,
    place: Make,
    settings: NodeSettings,
    start_node: Start,
    make_study: Make,
    send: Send,
    until: Until,
) -> None:
    study = make_study()
    node = start_node(replace(settings, archives=(place(orthanc, way_out),)))
    if way_in == "dcmtk":
        storescu = shutil.which("storescu")
        if storescu is None:
            pytest.skip("needs the Debian package dcmtk")
        command = [storescu, "-aet", "SENDER", "-aec", "MARROWMAP", "127.0.0.1", str(port_of(node))]
        subprocess.run([*command, *map(str, study.files)], check=True, capture_output=True)
    else:
        assert send(port_of(node), study.files) == [0] * 6
    last_instance = time.monotonic()
    until(is_done(node))
    # 0.3 s of them are the wait for the end of the study; the inference takes no time.
    assert time.monotonic() - last_instance < 5.0
    written = by_uid([pydicom.dcmread(path) for path in settings.folder.glob("jobs/*/out/dicom/**/*.dcm")])
    stored = by_uid(orthanc.results(study.uid))
    assert {d.Modality for d in stored.values()} == {"SEG", "SR", "DOC", "OT", "MR"}
    assert stored == written


def test_five_studies_that_arrive_interleaved_are_kept_apart(
    orthanc: Any,
    place: Make,
    settings: NodeSettings,
    start_node: Start,
    make_study: Make,
    send: Send,
    until: Until,
) -> None:
    studies = [make_study(slices=4 + number) for number in range(5)]
    node = start_node(replace(settings, archives=(place(orthanc, "dimse"),)))
    longest = max(len(study.files) for study in studies)
    mixed = [study.files[i] for i in range(longest) for study in studies if i < len(study.files)]
    assert set(send(port_of(node), mixed)) == {0}
    until(is_done(node, 5))
    for study in studies:
        found = [dataset.SeriesDescription for dataset in orthanc.results(study.uid)]
        assert found == [f"marrowmap of {len(study.files)} images"] * 5


def test_an_archive_that_is_down_gets_everything_when_it_is_back(
    make_orthanc: Make,
    place: Make,
    settings: NodeSettings,
    start_node: Start,
    make_study: Make,
    send: Send,
    until: Until,
) -> None:
    archive, study = make_orthanc(), make_study()
    node = start_node(replace(settings, archives=(place(archive, "dimse", timeout_s=3.0),)))
    send(port_of(node), study.files)
    until(lambda: node.metrics.total("send_failures") >= 2)
    assert node.overview.states()["sending"] == 1
    assert "does not answer" in node.overview.lines()[0].note
    process = archive.start()
    try:
        until(is_done(node))
        assert len(archive.results(study.uid)) == 5
    finally:
        process.kill()
        process.wait()


def test_a_study_is_fetched_by_dicomweb_once_and_not_again_for_our_own_results(
    orthanc: Any,
    place: Make,
    settings: NodeSettings,
    start_node: Start,
    make_study: Make,
    send: Send,
    until: Until,
) -> None:
    study = make_study(StudyDescription="WB MRI", StudyDate=time.strftime("%Y%m%d"))
    other = make_study(StudyDescription="KNEE", StudyDate=time.strftime("%Y%m%d"))
    for one in (study, other):
        assert set(send(orthanc.dicom_port, one.files, called="ORTHANC")) == {0}
    pacs = place(orthanc, "web")
    poll = PollSettings(web=pacs.web, study_description="WB*", interval_s=0.1)
    node = start_node(replace(settings, archives=(pacs,), poll=poll))
    until(is_done(node))
    results = by_uid(orthanc.results(study.uid))
    assert {dataset.SeriesDescription for dataset in results.values()} == {"marrowmap of 6 images"}
    polls = node.metrics.total("polls")
    until(lambda: node.metrics.total("polls") >= polls + 8)
    assert node.metrics.total("instances_received") == 6
    assert by_uid(orthanc.results(study.uid)) == results
    assert orthanc.results(other.uid) == []


def test_results_sent_back_to_the_node_by_the_archive_start_nothing(
    settings: NodeSettings, start_node: Start, make_study: Make, send: Send, until: Until, tmp_path: Path
) -> None:
    node = start_node(settings)
    send(port_of(node), make_study().files)
    until(is_done(node))
    results = [str(path) for path in settings.folder.glob("jobs/*/out/dicom/**/*.dcm")]
    if shutil.which("dcmsend") is None:
        pytest.skip("needs the Debian package dcmtk")
    command = ["dcmsend", "-aet", "SENDER", "-aec", "MARROWMAP", "127.0.0.1", str(port_of(node)), *results]
    subprocess.run(command, check=True, capture_output=True)
    assert node.metrics.total("instances_received", outcome="ignored") == 5
    assert sum(node.overview.states().values()) == 1


def test_a_study_that_cannot_be_processed_is_refused_and_the_next_one_is_not(
    settings: NodeSettings, start_node: Start, stand_in: Any, make_study: Make, send: Send, until: Until
) -> None:
    def refuse_six(task: Any) -> None:
        if len(list(task.study.iterdir())) == 6:
            raise StudyError("no high-b diffusion series: found b = [50] s/mm2")

    node = start_node(settings, stand_in.StandIn(before=refuse_six))
    for slices in (6, 4):
        send(port_of(node), make_study(slices=slices).files)
    until(is_done(node))
    until(lambda: node.overview.states()["refused"] == 1)
    assert node.overview.last_refusal().startswith("no high-b diffusion series")


def test_a_defect_is_tried_again_and_given_up_in_the_end(
    settings: NodeSettings, start_node: Start, stand_in: Any, make_study: Make, send: Send, until: Until
) -> None:
    def fail(task: Any) -> None:
        raise ZeroDivisionError("SECRET^NAME")

    inference = stand_in.StandIn(before=fail)
    work = replace(settings.work, attempts=3, retry_s=0.05)
    node = start_node(replace(settings, work=work), inference)
    send(port_of(node), make_study().files)
    until(lambda: node.overview.states()["refused"] == 1)
    assert len(inference.tasks) == 3
    assert re.fullmatch(
        r"given up after 3 attempts: ZeroDivisionError in \S*test_archive:\d+", node.overview.last_refusal()
    )


def test_no_name_and_no_identifier_is_in_logs_pages_queue_or_folders(
    orthanc: Any,
    place: Make,
    settings: NodeSettings,
    start_node: Start,
    make_study: Make,
    send: Send,
    until: Until,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    study = make_study()
    pacs = place(orthanc, "web")
    poll = PollSettings(web=pacs.web, interval_s=0.2)
    prior = replace(settings.prior, archive="pacs")
    node = start_node(replace(settings, archives=(pacs,), prior=prior, poll=poll))
    send(port_of(node), study.files)
    until(is_done(node))
    node.stop()
    from marrowmap.inference.node.status import status_page

    node = start_node(settings)
    texts = [caplog.text, status_page(node.overview, node.health()), node.metrics.text()]
    texts += [str(path) for path in settings.folder.rglob("*")]
    texts.append((settings.folder / "queue.sqlite").read_bytes().decode("latin-1"))
    said = "\n".join(texts)
    assert "SECRET" not in said
    assert study.uid not in caplog.text
    assert node.intake.alias(study.uid) in caplog.text


def test_images_are_cleared_away_and_the_results_are_kept(
    settings: NodeSettings, start_node: Start, make_study: Make, send: Send, until: Until
) -> None:
    study = make_study()
    node = start_node(settings)
    send(port_of(node), study.files)
    until(is_done(node))
    node.stop()
    node = start_node(replace(settings, keep=replace(settings.keep, images_days=0.0)))
    until(lambda: not list(settings.folder.glob("studies/*/*.dcm")))
    assert len(list(settings.folder.glob("jobs/*/out/dicom/**/*.dcm"))) == 5
    send(port_of(node), study.files)  # the archive sends it all again: known, and done
    until(lambda: node.overview.receiving() == 0)
    assert sum(node.overview.states().values()) == 1
