"""A small DICOM study of two stations, run once through the main job with a stand-in for the network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from marrowmap.data.exam import Sequence, Volume
from marrowmap.data.simulate.dicom_study import write_dicom_study
from marrowmap.data.simulate.exam import Acquisition, SimulatedExam
from marrowmap.data.simulate.person import Person
from marrowmap.data.simulate.truth import Truth
from marrowmap.inference.pipeline import InferSettings, infer

#: A body of muscle, 160 x 120 x 320 mm, in two axial stations that overlap by 20 mm.
SHAPE = (44, 34, 64)
SPACING_MM = (4.0, 4.0, 5.0)
STATIONS = (slice(0, 34), slice(30, 64))
#: Low and high corner of each lesion in voxels: one in each station, one across the seam.
LESIONS = (((14, 14, 12), (18, 18, 15)), ((22, 14, 48), (26, 18, 52)), ((30, 14, 29), (33, 18, 35)))
TISSUE = {
    Sequence.DWI_LOW: (700.0, 200.0, 330.0),
    Sequence.DWI_HIGH: (600.0, 140.0, 90.0),
    Sequence.T1: (110.0, 170.0, 100.0),
    Sequence.STIR: (250.0, 80.0, 120.0),
    Sequence.ADC: (800.0, 420.0, 1500.0),
}
B_VALUES = {Sequence.DWI_LOW: 50.0, Sequence.DWI_HIGH: 900.0}


@dataclass(frozen=True, kw_only=True)
class Result:
    """A study, what `infer` made of it, and its objects by name."""

    study: Path
    out: Path
    report: dict[str, Any]

    @property
    def dicom(self) -> Path:
        return self.out / "dicom"

    def read(self, name: str) -> pydicom.Dataset:
        return pydicom.dcmread(self.dicom / name)


def acquisitions(*, lesions: int = len(LESIONS)) -> list[Acquisition]:
    """Every sequence in two stations."""
    body, bone, lesion = (np.zeros(SHAPE, dtype=bool) for _ in range(3))
    body[2:42, 2:32, :] = True
    bone[8:36, 8:26, 6:58] = True
    for low, high in LESIONS[:lesions]:
        lesion[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = True
    noise = np.random.default_rng(0).normal(0.0, 1.0, SHAPE)
    made = []
    for sequence, (in_lesion, in_bone, in_muscle) in TISSUE.items():
        air = 0.0 if sequence is Sequence.ADC else 2.0
        whole = np.select([lesion, bone, body], [in_lesion, in_bone, in_muscle], air) + noise
        for station, part in enumerate(STATIONS):
            affine = np.diag([*SPACING_MM, 1.0])
            affine[2, 3] = part.start * SPACING_MM[2]
            volume = Volume(
                array=np.clip(whole[:, :, part], 0, None).astype(np.float32),
                affine_ras_mm=affine,
                b_value_s_per_mm2=B_VALUES.get(sequence),
            )
            made.append(
                Acquisition(sequence=sequence, station=station, volume=volume, description=f"wb {sequence}")
            )
    return made


def write_study(folder: Path, *, lesions: int = len(LESIONS), seed: int = 20_000) -> Path:
    """Write the study as DICOM files."""
    labels = np.zeros((2, 2, 2), dtype=np.uint16)
    truth = Truth(
        lesion_labels=labels,
        regions=labels.astype(np.uint8),
        affine_ras_mm=np.eye(4),
        lesions=(),
        person=Person(sex="F", age_years=67.0, stature_mm=1650.0, adiposity=0.0),
        pattern="focal",
        seed=seed,
    )
    write_dicom_study(SimulatedExam(acquisitions=tuple(acquisitions(lesions=lesions)), truth=truth), folder)
    return folder


#: Of the stand-in weights: tests look for it in the objects.
WEIGHTS_SHA256 = "0123456789abcdef" * 4


@pytest.fixture(autouse=True)
def _without_weights(
    use_bright_diffusion: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use_bright_diffusion(monkeypatch, tmp_path, sha256=WEIGHTS_SHA256)


@pytest.fixture(scope="session")
def result(use_bright_diffusion: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Result:
    """Three lesions, every object on demand too."""
    folder = tmp_path_factory.mktemp("dicom_out")
    with pytest.MonkeyPatch.context() as monkeypatch:
        use_bright_diffusion(monkeypatch, folder, sha256=WEIGHTS_SHA256)
        study = write_study(folder / "study")
        report = infer(study, folder / "out", InferSettings(dicom_maps=True, dicom_rtstruct=True))
    return Result(study=study, out=folder / "out", report=report)
