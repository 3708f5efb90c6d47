"""Inference in a process of its own: warm, replaceable, and never longer-lived than its node."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from marrowmap.data.errors import EngineError, StudyError
from marrowmap.data.model_input import CHANNELS, ModelInputSettings
from marrowmap.data.skeleton import REGION_CHANNELS
from marrowmap.inference.node.analysis import StoppedError, Task, WorkerError
from marrowmap.inference.node.config import NodeSettings, WorkSettings
from marrowmap.inference.node.node import Node
from marrowmap.inference.node.process import WarmProcess
from marrowmap.inference.report.report_json import read_report
from marrowmap.models import bundle as bundle_module
from marrowmap.models.bundle import Bundle, BundleDescription, load_bundle

needs_signals = pytest.mark.skipif(os.name == "nt", reason="Windows has no signals")


@pytest.fixture(scope="module")
def warm(small_bundle: Bundle) -> Iterator[WarmProcess]:
    """One process for all tests: the first thing it must be able to do is to go on."""
    process = WarmProcess(WorkSettings(weights=small_bundle.folder, threads=1), "cpu")
    yield process
    process.stop()


@pytest.fixture(scope="module")
def small_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle of one random convolution, made without torch."""
    import openvino
    from openvino import opset13

    folder, patch = tmp_path_factory.mktemp("bundle"), (16, 8, 24)
    image = opset13.parameter([1, len(CHANNELS), *patch], np.float32)
    weights = np.random.default_rng(1).normal(size=(1 + REGION_CHANNELS, len(CHANNELS), 1, 1, 1))
    mixed = opset13.convolution(
        image, opset13.constant(weights.astype(np.float32)), [1] * 3, [0] * 3, [0] * 3, [1] * 3
    )
    model = openvino.Model([mixed], [image])  # pyright: ignore[reportGeneralTypeIssues]  # its stubs clash
    openvino.save_model(model, folder / "model.xml", compress_to_fp16=False)
    (folder / "model.safetensors").write_bytes(b"for CUDA alone")
    description = BundleDescription(
        name="small",
        version="0.1",
        input=ModelInputSettings(spacing_mm=6.0),
        network={"channels_in": len(CHANNELS), "regions": REGION_CHANNELS},
        patch_size=patch,
        lesion_threshold=0.9,
        trained_on="nothing: random weights",
        intended_use="tests",
    )
    bundle_module._write_metadata(folder, description)
    return load_bundle(folder)


@pytest.fixture
def exam(tmp_path: Path, write_slice: Callable[..., Dataset]) -> list[Path]:
    """A DICOM study that `infer` takes: a body of muscle with T1, b50 and b900, 96 x 96 x 120 mm."""
    study_uid, frame, files = generate_uid(), generate_uid(), []
    shown = {"t1_tse_cor": (None, 100.0), "ep2d_diff b50": (50, 330.0), "ep2d_diff b900": (900, 90.0)}
    noise = np.random.default_rng(0)
    for number, (words, (b_value, signal_level)) in enumerate(shown.items(), start=1):
        series_uid = generate_uid()
        for k in range(24):
            plane = np.full((24, 24), 2.0)
            plane[2:22, 2:22] = signal_level + noise.normal(0.0, 3.0, (20, 20))
            dataset = write_slice(study_uid, series_uid, k, StudyDate="20250601")
            dataset.update(_geometry(frame, k))
            dataset.SeriesNumber, dataset.SeriesDescription = number, words
            dataset.PatientID, dataset.Rows, dataset.Columns = "small-exam", 24, 24
            dataset.Manufacturer, dataset.MagneticFieldStrength = "SIEMENS", 1.5
            dataset.EchoTime, dataset.RepetitionTime = (60.0, 5000.0) if b_value else (10.0, 500.0)
            dataset.ImageType = ["ORIGINAL", "PRIMARY", "DIFFUSION" if b_value else "M", "ND"]
            dataset.ScanningSequence = "EP" if b_value else "SE"
            if b_value is not None:
                dataset.DiffusionBValue = float(b_value)
            dataset.PixelData = plane.clip(0).astype("<u2").tobytes()
            files.append(tmp_path / "exam" / f"{number}_{k:02d}.dcm")
            files[-1].parent.mkdir(exist_ok=True)
            dataset.save_as(files[-1], enforce_file_format=True)
    return files


def _geometry(frame: str, k: int) -> Dataset:
    tags = Dataset()
    tags.FrameOfReferenceUID = frame
    tags.ImageOrientationPatient = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    tags.ImagePositionPatient = [-48.0, -48.0, 5.0 * k]
    tags.PixelSpacing, tags.SliceThickness = [4.0, 4.0], 5.0
    tags.PositionReferenceIndicator = ""
    return tags


def test_an_exam_goes_through_the_warm_network(warm: WarmProcess, exam: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    warm.run(Task(study=exam[0].parent, out=out))
    report = read_report(out)
    assert report["model"]["name"] == "small"
    # The network was open already: nothing is loaded for this exam.
    assert report["run"]["seconds"]["load_network"] < 0.05


def test_a_study_that_cannot_be_processed_comes_back_as_refused(warm: WarmProcess, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(StudyError, match=r"nothing readable|no DICOM"):
        warm.run(Task(study=tmp_path / "empty", out=tmp_path / "out"))
    assert warm.is_alive


def test_a_real_exam_goes_all_the_way_to_the_archive(
    warm: WarmProcess,
    exam: list[Path],
    orthanc: Any,
    place: Callable[..., Any],
    settings: NodeSettings,
    start_node: Callable[..., Node],
    send: Callable[..., list[int]],
    until: Callable[..., Any],
) -> None:
    node = start_node(replace(settings, archives=(place(orthanc, "web"),)), Shared(warm))
    assert node.receiver is not None
    assert set(send(node.receiver.port, exam)) == {0}
    started = time.monotonic()
    until(lambda: node.overview.states()["done"] + node.overview.states()["refused"], 120)
    assert node.overview.states()["done"] == 1, node.overview.last_refusal()
    waited = time.monotonic() - started - node.metrics.total("infer_seconds")
    assert waited < 5.0
    study_uid = str(pydicom.dcmread(exam[0], stop_before_pixels=True).StudyInstanceUID)
    written = [pydicom.dcmread(path) for path in settings.folder.glob("jobs/*/out/dicom/**/*.dcm")]
    stored = {str(dataset.SOPInstanceUID): dataset for dataset in orthanc.results(study_uid)}
    assert {"SR", "DOC"} <= {dataset.Modality for dataset in written}
    assert stored == {str(dataset.SOPInstanceUID): dataset for dataset in written}


@needs_signals
def test_a_process_that_dies_is_replaced_and_the_node_lives_on(warm: WarmProcess, tmp_path: Path) -> None:
    before = warm._process.pid
    assert before is not None
    os.kill(before, signal.SIGSTOP)  # it must not answer before it dies
    threading.Timer(0.3, os.kill, (before, signal.SIGKILL)).start()
    with pytest.raises(WorkerError, match="the process of the inference ended with code -9"):
        warm.run(Task(study=tmp_path, out=tmp_path / "out"))
    with pytest.raises(StudyError):
        warm.run(Task(study=tmp_path, out=tmp_path / "out"))
    assert warm._process.pid != before


@needs_signals
def test_a_study_that_takes_too_long_is_a_failure_and_a_stopped_process_takes_none(
    warm: WarmProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = Task(study=tmp_path, out=tmp_path / "out")
    monkeypatch.setattr(warm, "_settings", replace(warm._settings, timeout_s=0.2))
    assert warm._process.pid is not None
    os.kill(warm._process.pid, signal.SIGSTOP)
    with pytest.raises(WorkerError, match="no result within 0 s"):
        warm.run(task)
    warm.stop()
    with pytest.raises(StoppedError):
        warm.run(task)


def test_weights_that_cannot_be_opened_are_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="no weights in"):
        WarmProcess(WorkSettings(weights=tmp_path), "cpu")


@needs_signals
def test_a_process_ends_when_its_node_is_killed(tmp_path: Path) -> None:
    program = tmp_path / "parent.py"
    program.write_text(
        "import multiprocessing, time\n"
        "from marrowmap.inference.node.process import _end_with_parent\n"
        "if __name__ == '__main__':\n"
        "    child = multiprocessing.get_context('spawn').Process(target=_end_with_parent)\n"
        "    child.start(); print(child.pid, flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert _runs(child)
        parent.kill()
    until = time.monotonic() + 30
    while _runs(child) and time.monotonic() < until:
        time.sleep(0.05)
    assert not _runs(child)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


class Shared:
    """A warm process that outlives the node that uses it."""

    def __init__(self, warm: WarmProcess) -> None:
        self._warm = warm

    def run(self, task: Task) -> None:
        self._warm.run(task)

    def stop(self) -> None:
        pass

    @property
    def is_alive(self) -> bool:
        return self._warm.is_alive
