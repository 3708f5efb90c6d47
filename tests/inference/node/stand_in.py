"""A node whose inference is a stand-in: quick, and every run makes new UIDs, so that a second one shows.

Run as a program it is the node that the tests kill: `stand_in.py CONFIG SECONDS COMPOSED`.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path

import pydicom
from jsonargparse import ArgumentParser
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    Comprehensive3DSRStorage,
    EncapsulatedPDFStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
    generate_uid,
)

from marrowmap.inference.node.analysis import StoppedError, Task
from marrowmap.inference.node.config import NodeSettings
from marrowmap.inference.node.node import Node

KINDS = {
    "seg": (SegmentationStorage, "SEG"),
    "sr": (Comprehensive3DSRStorage, "SR"),
    "report": (EncapsulatedPDFStorage, "DOC"),
    "mip": (SecondaryCaptureImageStorage, "OT"),
}


@dataclass
class StandIn:
    """Counts a study's images and writes objects that say how many: one of every kind, a composed series."""

    seconds: float = 0.0
    composed: int = 1
    before: Callable[[Task], None] = lambda task: None
    tasks: list[Task] = field(default_factory=list)
    is_alive: bool = True

    def __post_init__(self) -> None:
        self._stopped = threading.Event()

    def run(self, task: Task) -> None:
        self.tasks.append(task)
        self.before(task)
        if self._stopped.wait(self.seconds):
            raise StoppedError
        files = sorted(task.study.iterdir())
        source = pydicom.dcmread(files[0], stop_before_pixels=True)
        partial = task.out.with_name("partial")
        series = {f"composed/{n:04d}": (MRImageStorage, "MR") for n in range(self.composed)}
        for stem, (sop_class, modality) in (KINDS | series).items():
            write_object(partial / "dicom" / f"{stem}.dcm", source, sop_class, modality, len(files))
        (partial / "report.json").write_text(json.dumps({"images": len(files)}))
        partial.rename(task.out)

    def stop(self) -> None:
        self._stopped.set()


def write_object(path: Path, source: Dataset, sop_class: str, modality: str, images: int) -> None:
    """Write a result object of the study of `source`, small but of the right class."""
    path.parent.mkdir(parents=True, exist_ok=True)
    made = Dataset()
    for keyword in ("StudyInstanceUID", "StudyDate", "StudyTime", "PatientID", "PatientName", "PatientSex"):
        setattr(made, keyword, source.get(keyword, ""))
    made.SOPClassUID, made.SOPInstanceUID = sop_class, generate_uid()
    made.SeriesInstanceUID, made.Modality, made.SeriesNumber = generate_uid(), modality, 900
    made.SeriesDescription = f"marrowmap of {images} images"
    made.ManufacturerModelName = "marrowmap"
    if modality in ("SEG", "OT", "MR"):
        made.Rows = made.Columns = 16
        made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
        made.BitsAllocated = made.BitsStored = 8
        made.HighBit, made.PixelRepresentation = 7, 0
        made.PixelData = bytes(range(256))
    if modality == "DOC":
        made.EncapsulatedDocument, made.MIMETypeOfEncapsulatedDocument = (
            b"%PDF-1.4 %%EOF\n\0",
            "application/pdf",
        )
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.save_as(path, enforce_file_format=True)


def read_settings(path: Path) -> NodeSettings:
    """Read a configuration as `marrowmap serve` does."""
    parser = ArgumentParser()
    parser.add_argument("--config", action="config")
    parser.add_class_arguments(NodeSettings)
    made = parser.instantiate(parser.parse_args(["--config", str(path)]))
    return NodeSettings(**{item.name: made[item.name] for item in fields(NodeSettings)})


def main(config: str, seconds: str, composed: str) -> None:
    inference = StandIn(seconds=float(seconds), composed=int(composed))
    node = Node(read_settings(Path(config)), "stand-in 1", lambda _: inference)
    signal.signal(signal.SIGTERM, lambda *_: node.ask_to_stop())
    node.wait()
    node.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
