"""A node, an archive (Orthanc) and a sender, all on loopback."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.util import module_from_spec, spec_from_file_location
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

pytest.importorskip("pynetdicom", reason="the node needs the extra [serve]")
pytest.importorskip("dicomweb_client", reason="the node needs the extra [serve]")


from marrowmap.inference.node.config import (
    LimitSettings,
    NodeSettings,
    ReceiveSettings,
    SendSettings,
)
from marrowmap.inference.node.dimse import CONNECTION_HANDLERS, Caller, Turn
from marrowmap.inference.node.node import Node
from marrowmap.inference.node.peers import ArchiveSettings, DimseSettings, WebSettings

HERE = Path(__file__).parent
ORTHANC = shutil.which("Orthanc")
DICOMWEB_PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")


@pytest.fixture(scope="session")
def until() -> Callable[..., Any]:
    """A function that waits until another returns something true."""
    return wait_for


def wait_for(what: Callable[[], Any], seconds: float = 60.0) -> Any:
    """Return what a function returns once it is true."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = what()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s: {what}")


@pytest.fixture
def port() -> int:
    """A port that nobody uses."""
    return free_port()


def free_port() -> int:
    (port,) = free_ports(1)
    return port


def free_ports(count: int) -> list[int]:
    """Return so many ports that nobody uses: asked for one by one, the same may come twice."""
    with contextlib.ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Keys and certificates by file name: an authority's, its own for `node` and `sender`, a stranger's."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl to make certificates")
    folder = tmp_path_factory.mktemp("tls")

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    for name in ("authority", "stranger"):
        openssl("req", "-x509", *key, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem")
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1")
    for name in ("node", "sender"):
        openssl("req", *key[:5], "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        signed_by = ("-CA", "authority.pem", "-CAkey", "authority.key", "-CAcreateserial", "-days", "2")
        openssl("x509", "-req", "-in", f"{name}.csr", *signed_by, "-extfile", "names", "-out", f"{name}.pem")
    return {path.name: path for path in folder.iterdir()}


@pytest.fixture(scope="session")
def stand_in() -> ModuleType:
    """The module of the stand-in inference, which is a program too."""
    spec = spec_from_file_location("node_stand_in", HERE / "stand_in.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["node_stand_in"] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@dataclass(frozen=True)
class Orthanc:
    """A real archive.

    Attributes:
        folder: Its configuration and database.
        dicom_port: DIMSE.
        http_port: DICOMweb and its own interface.
    """

    folder: Path
    dicom_port: int
    http_port: int

    @property
    def web_url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}/dicom-web"

    def ask(self, path: str, method: str = "GET") -> Any:
        request = urllib.request.Request(f"http://127.0.0.1:{self.http_port}{path}", method=method)
        with urllib.request.urlopen(request, timeout=20) as answer:
            body = answer.read()
        return json.loads(body) if body[:1] in (b"{", b"[") else body

    def instances(self, study_uid: str) -> list[dict[str, Any]]:
        """Return the instances of a study, with the tags that Orthanc indexes."""
        studies = [
            s for s in self.ask("/studies?expand") if s["MainDicomTags"]["StudyInstanceUID"] == study_uid
        ]
        return [one for study in studies for one in self.ask(f"/studies/{study['ID']}/instances")]

    def results(self, study_uid: str) -> list[Dataset]:
        """Return the objects of a study that we made, as stored."""
        files = (BytesIO(self.ask(f"/instances/{i['ID']}/file")) for i in self.instances(study_uid))
        datasets = [pydicom.dcmread(file) for file in files]
        return [dataset for dataset in datasets if dataset.get("ManufacturerModelName") == "marrowmap"]

    def start(self) -> subprocess.Popen[bytes]:
        assert ORTHANC is not None
        command = [ORTHANC, str(self.folder / "orthanc.json")]
        with (self.folder / "log").open("ab") as log:
            environment = {**os.environ, "TCP_NODELAY": "1"}
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        wait_for(lambda: process.poll() is not None or self._answers())
        assert process.poll() is None, (self.folder / "log").read_text(errors="replace")
        return process

    def _answers(self) -> bool:
        try:
            return bool(self.ask("/system"))
        except OSError:
            return False


@pytest.fixture(scope="session")
def make_orthanc(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Orthanc]:
    """A function that prepares an archive; the test starts it."""
    if ORTHANC is None or not DICOMWEB_PLUGIN.exists():
        pytest.skip("needs the Debian packages orthanc and orthanc-dicomweb")

    def make(node_port: int = 11112) -> Orthanc:
        folder = tmp_path_factory.mktemp("orthanc")
        dicom_port, http_port = free_ports(2)
        made = Orthanc(folder=folder, dicom_port=dicom_port, http_port=http_port)
        settings = {
            "Name": "test", "StorageDirectory": str(folder / "db"), "IndexDirectory": str(folder / "db"),
            "Plugins": [str(DICOMWEB_PLUGIN)], "HttpPort": made.http_port, "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False, "DicomAet": "ORTHANC", "DicomPort": made.dicom_port,
            "DicomAlwaysAllowGet": True, "DicomAlwaysAllowFind": True, "DicomAlwaysAllowMove": True,
            "DicomAlwaysAllowStore": True, "OverwriteInstances": True, "SyncStorageArea": False,
            "DicomModalities": {"node": ["MARROWMAP", "127.0.0.1", node_port]},
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
        }  # fmt: skip
        (folder / "orthanc.json").write_text(json.dumps(settings))
        return made

    return make


@pytest.fixture(scope="session")
def orthanc(make_orthanc: Callable[..., Orthanc]) -> Iterator[Orthanc]:
    """One archive for all tests; every test has studies of its own."""
    archive = make_orthanc()
    process = archive.start()
    yield archive
    process.terminate()
    process.wait(timeout=20)


@dataclass(frozen=True)
class Study:
    """A study on disk."""

    uid: str
    files: tuple[Path, ...]


@pytest.fixture
def make_study(tmp_path: Path) -> Callable[..., Study]:
    """A function that writes a small MR study of two series."""

    def make(slices: int = 6, **tags: Any) -> Study:
        study_uid, files = generate_uid(), []
        series = [generate_uid(), generate_uid()]
        for number in range(slices):
            dataset = mr_slice(study_uid, series[number % 2], number, **tags)
            files.append(tmp_path / "sent" / study_uid / f"{number:03d}.dcm")
            files[-1].parent.mkdir(parents=True, exist_ok=True)
            dataset.save_as(files[-1], enforce_file_format=True)
        return Study(uid=study_uid, files=tuple(files))

    return make


@pytest.fixture(scope="session")
def write_slice() -> Callable[..., Dataset]:
    """A function that makes one MR instance."""
    return mr_slice


def mr_slice(study_uid: str, series_uid: str, number: int, **tags: Any) -> Dataset:
    dataset = Dataset()
    values: dict[str, Any] = {
        "SOPClassUID": MRImageStorage, "SOPInstanceUID": generate_uid(), "StudyInstanceUID": study_uid,
        "SeriesInstanceUID": series_uid, "Modality": "MR", "PatientName": "SECRET^NAME",
        "PatientID": "SECRET-ID", "PatientBirthDate": "19500101", "PatientSex": "F",
        "StudyDate": "20250102", "StudyTime": "080000", "StudyID": "1", "SeriesNumber": 1,
        "AccessionNumber": "", "ReferringPhysicianName": "", "InstanceNumber": number + 1,
        "Rows": 16, "Columns": 16, "SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2",
        "BitsAllocated": 16, "BitsStored": 16, "HighBit": 15, "PixelRepresentation": 0,
    }  # fmt: skip
    for keyword, value in (values | tags).items():
        setattr(dataset, keyword, value)
    dataset.PixelData = np.full((16, 16), number, dtype="<u2").tobytes()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


@pytest.fixture(scope="session")
def send() -> Callable[..., list[int]]:
    """A function that sends files by pynetdicom."""
    return send_files


def send_files(
    port: int, files: Iterable[Path], calling: str = "SENDER", called: str = "MARROWMAP", **named: Any
) -> list[int]:
    """Send files over one association; return the status of each, fewer if the association ended before.

    Raises:
        ConnectionError: If there was no association.
    """
    ae = Caller(calling)
    ae.add_requested_context(MRImageStorage, ExplicitVRLittleEndian)
    association = ae.associate("127.0.0.1", port, ae_title=called, evt_handlers=CONNECTION_HANDLERS, **named)
    if not association.is_established:
        ae.hang_up()
        raise ConnectionError("rejected" if association.is_rejected else "no association")
    statuses, turn = [], Turn(association)
    for file in files:
        turn.ours()
        try:
            status = association.send_c_store(file).get("Status")
        except (RuntimeError, ValueError):
            break
        if status is None:
            break
        statuses.append(status)
    turn.ours()
    association.release()
    ae.hang_up()
    return statuses


@pytest.fixture
def settings(tmp_path: Path) -> NodeSettings:
    """A node that takes studies from SENDER, has no archive, and waits 0.3 s for the end of a study."""
    return NodeSettings(
        folder=tmp_path / "node",
        receive=ReceiveSettings(calling_ae_titles=("SENDER", "ORTHANC"), port=0, quiet_s=0.3),
        send=SendSettings(retry_s=0.2, longest_retry_s=0.5),
        limits=LimitSettings(free_gb=0.0),
        status_port=0,
        is_synced=False,
    )


@pytest.fixture(scope="session")
def place() -> Callable[..., ArchiveSettings]:
    """A function that describes an archive to a node, by DIMSE or by DICOMweb."""

    def describe(archive: Orthanc, how: str, **named: Any) -> ArchiveSettings:
        if how == "web":
            return ArchiveSettings(name="pacs", web=WebSettings(url=archive.web_url, **named))
        dimse = DimseSettings(ae_title="ORTHANC", host="127.0.0.1", port=archive.dicom_port, **named)
        return ArchiveSettings(name="pacs", dimse=dimse)

    return describe


@pytest.fixture
def start_node(stand_in: ModuleType) -> Iterator[Callable[..., Node]]:
    """A function that starts a node with the stand-in; all are stopped at the end of the test."""
    nodes: list[Node] = []

    def start(settings: NodeSettings, inference: Any = None, model: str = "stand-in 1") -> Node:
        inference = inference or stand_in.StandIn()
        nodes.append(Node(settings, model, lambda _: inference))
        return nodes[-1]

    yield start
    for node in nodes:
        node.stop()
