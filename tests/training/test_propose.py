"""Spacing, patch and batch for own exams: by lesions, body and memory, as a configuration that trains."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from marrowmap.data.errors import NoStudyError, SettingsError
from marrowmap.data.exam import Exam, Sequence, Volume
from marrowmap.data.nifti import write_nifti
from marrowmap.data.nifti_layouts import write_exam
from marrowmap.models.bundle import load_bundle
from marrowmap.scripts.train import _parser, main
from marrowmap.training.config import TrainSettings
from marrowmap.training.fingerprint import Fingerprint, fingerprint
from marrowmap.training.propose import BYTES_A_VOXEL, BYTES_BESIDES, Memory, propose

PLENTY = Memory(device="cpu", free_bytes=32_000_000_000)
BODY = Fingerprint(
    exams=12,
    patients=12,
    read=12,
    spacing_mm=(1.8, 1.8, 5.0),
    extent_mm=(480.0, 300.0, 1000.0),
    sequences={Sequence.DWI_HIGH: 12, Sequence.T1: 11},
    diameters_mm=(5.0, 12.0, 30.0),
)


def proposed(found: Fingerprint = BODY, memory: Memory = PLENTY) -> dict:
    return yaml.safe_load(propose(found, Path("data"), TrainSettings(), memory, None))


def memory_for(patches: int) -> Memory:
    """Return a CPU's memory of which half holds so many patches of 64 x 64 x 96 and not one more."""
    needed = BYTES_BESIDES + BYTES_A_VOXEL * 64 * 64 * 96 * (patches + 0.5)
    return Memory(device="cpu", free_bytes=int(2 * needed))


@pytest.mark.parametrize(
    ("in_plane_mm", "median_mm", "spacing_mm"),
    [
        (1.8, 12.0, 2.5),  # large lesions: two voxels across one of 5 mm are enough
        (1.8, 8.4, 2.1),  # four voxels across the median lesion
        (1.83, 6.0, 1.9),  # but not finer than the images, in tenths
        (1.0, 4.0, 1.5),  # nor than the bound
        (2.6, 6.0, 2.5),  # coarse images cost no small lesion
        (4.0, 30.0, 2.5),
    ],
)
def test_the_spacing_follows_lesions_and_images(
    in_plane_mm: float, median_mm: float, spacing_mm: float
) -> None:
    found = replace(BODY, spacing_mm=(in_plane_mm, in_plane_mm, 5.0), diameters_mm=(median_mm,))
    assert proposed(found)["model_input"] == {"spacing_mm": spacing_mm}


def test_exams_without_a_lesion_have_a_proposal() -> None:
    assert proposed(replace(BODY, diameters_mm=()))["model_input"]["spacing_mm"] == 2.5


def test_the_patch_covers_160_x_160_x_240_mm_and_no_more_than_the_body() -> None:
    assert proposed()["stream"]["patch_size"] == [64, 64, 96]
    finer = replace(BODY, diameters_mm=(7.2,))  # 1.8 mm: 89 x 89 x 134 voxels
    assert proposed(finer)["stream"]["patch_size"] == [96, 96, 160]
    thin = replace(BODY, extent_mm=(480.0, 70.0, 150.0))  # 28 and 60 voxels
    assert proposed(thin)["stream"]["patch_size"] == [64, 32, 64]


def test_a_cpu_never_gets_a_batch_of_one() -> None:
    assert proposed(memory=memory_for(2))["stream"]["patch_size"] == [64, 64, 96]
    small = propose(BODY, Path("data"), TrainSettings(), memory_for(1), None)
    assert yaml.safe_load(small)["batch_size"] == 2
    assert yaml.safe_load(small)["stream"]["patch_size"] == [64, 64, 64]
    assert "less than 160 x 160 x 240 mm, for memory" in small


def test_a_gpu_adds_up_what_it_cannot_hold_at_once() -> None:
    for patches, batch, accumulate in ((1, 1, 8), (3, 3, 3), (50, 8, 1)):
        found = proposed(memory=replace(memory_for(patches), device="cuda"))
        assert (found["batch_size"], found["accumulate"]) == (batch, accumulate)


def test_too_little_memory_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"no patch fits into the memory: 1\.0 GB free"):
        proposed(memory=Memory(device="cpu", free_bytes=1_000_000_000))


def test_unknown_memory_counts_as_8_gb() -> None:
    text = propose(BODY, Path("data"), TrainSettings(), Memory(device="cpu", free_bytes=None), None)
    assert "8 GB, assumed" in text


def test_few_patients_have_fewer_folds() -> None:
    assert "folds" not in proposed()["stream"]
    assert proposed(replace(BODY, patients=3))["stream"]["folds"] == 3
    assert proposed(replace(BODY, patients=1))["stream"]["fold"] is None


def test_a_bundle_keeps_its_spacing_and_network() -> None:
    bundle, settings = load_bundle(), TrainSettings(init_from=Path("shipped"))
    found = yaml.safe_load(
        propose(replace(BODY, diameters_mm=(6.0,)), Path("data"), settings, PLENTY, bundle)
    )
    assert found["model_input"]["spacing_mm"] == bundle.input.spacing_mm
    assert found["network"]["features"] == list(bundle.network["features"])
    assert found["init_from"] == "shipped"


def write_exams(folder: Path, count: int) -> None:
    shape, affine = (30, 20, 24), np.diag([4.0, 4.0, 10.0, 1.0])
    array = np.random.default_rng(0).uniform(50, 100, shape).astype(np.float32)
    lesions = np.zeros(shape, dtype=np.uint8)
    lesions[3:6, 4, 5] = 1  # 3 voxels of 4 mm
    for n in range(count):
        volumes = {
            Sequence.T1: Volume(array=array, affine_ras_mm=affine),
            Sequence.DWI_HIGH: Volume(array=array, affine_ras_mm=affine, b_value_s_per_mm2=900.0),
        }
        write_exam(Exam(volumes=volumes), folder / f"p{n}")
        write_nifti(folder / f"p{n}" / "truth_lesions.nii.gz", lesions, affine)


def test_exams_are_measured_as_they_are_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_exams(tmp_path, 4)
    monkeypatch.setattr("marrowmap.training.fingerprint.MOST_EXAMS", 2)
    found = fingerprint(tmp_path)
    assert (found.exams, found.patients, found.read) == (4, 4, 2)
    assert found.spacing_mm == pytest.approx((4.0, 4.0, 10.0))
    assert found.extent_mm == (120.0, 80.0, 240.0)
    assert found.sequences == {Sequence.T1: 2, Sequence.DWI_HIGH: 2}
    assert len(found.diameters_mm) == 2


def test_what_the_command_prints_is_a_configuration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_exams(tmp_path / "data", 2)
    assert main(["--propose", str(tmp_path / "data"), "--device", "cpu", "--quiet"]) == 0
    file = tmp_path / "proposal.yaml"
    file.write_text(capsys.readouterr().out)
    parser = _parser()
    made = parser.instantiate(parser.parse_args(["--config", str(file)]))
    assert made.stream.annotated == tmp_path / "data"
    assert (made.stream.patch_size, made.stream.folds) == ((64, 32, 96), 2)
    assert made.batch_size == 2


def test_a_folder_without_exams_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NoStudyError, match="no annotated exam"):
        main(["--propose", str(tmp_path)])
