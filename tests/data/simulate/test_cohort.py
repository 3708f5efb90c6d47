"""Simulated exams on disk: the study and its truth, one folder an exam."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pydicom
import pytest

from marrowmap.data.errors import SettingsError
from marrowmap.data.exam import Exam, Sequence, Volume
from marrowmap.data.nifti import read_nifti, read_nifti_folder
from marrowmap.data.simulate import cohort
from marrowmap.data.simulate.cohort import CohortSettings, write_cohort, write_exam
from marrowmap.data.simulate.exam import Acquisition, SimulatedExam, SimulationSettings
from marrowmap.data.simulate.labels import Bone
from marrowmap.data.simulate.person import Person
from marrowmap.data.simulate.truth import LesionTruth, Truth
from marrowmap.data.skeleton import Region
from marrowmap.scripts import simulate as command


def small_exam(seed: int) -> SimulatedExam:
    """Two sequences of 2 x 2 x 3 voxels, one lesion of one voxel in the pelvis."""
    affine = np.diag([3.0, 3.0, 5.0, 1.0])
    labels = np.zeros((2, 2, 3), dtype=np.uint16)
    labels[1, 1, 2] = 1
    lesion = LesionTruth(
        id=1,
        kind="active",
        region=Region.SACRUM_PELVIS,
        bone=Bone.PELVIS_LEFT,
        volume_ml=0.045,
        longest_diameter_mm=5.0,
        centroid_ras_mm=(3.0, 3.0, 10.0),
        adc_um2_per_s=800.0,
        fat_fraction=0.05,
    )
    truth = Truth(
        lesion_labels=labels,
        regions=(labels * int(Region.SACRUM_PELVIS)).astype(np.uint8),
        affine_ras_mm=affine,
        lesions=(lesion,),
        person=Person(sex="F", age_years=60.0, stature_mm=1600.0, adiposity=0.0),
        pattern="focal",
        seed=seed,
    )
    return SimulatedExam(
        acquisitions=tuple(
            Acquisition(
                sequence=sequence,
                station=1,
                volume=Volume(
                    array=np.full((2, 2, 3), 100.0, dtype=np.float32),
                    affine_ras_mm=affine,
                    b_value_s_per_mm2=900.0 if sequence is Sequence.DWI_HIGH else None,
                ),
                description=f"wb {sequence}",
            )
            for sequence in (Sequence.T1, Sequence.DWI_HIGH)
        ),
        truth=truth,
    )


@pytest.fixture
def simulated_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cohort, "simulate_exam", lambda seed, **_: small_exam(seed))


def test_a_dicom_exam_has_one_file_a_slice_and_its_truth_beside(tmp_path: Path) -> None:
    write_exam(small_exam(20_001), tmp_path)
    assert len(list((tmp_path / "dicom").rglob("*.dcm"))) == 2 * 3
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "dicom",
        "truth.json",
        "truth_lesions.nii.gz",
        "truth_regions.nii.gz",
    ]


def test_the_truth_file_names_seed_pattern_person_and_every_lesion(tmp_path: Path) -> None:
    write_exam(small_exam(20_001), tmp_path)
    truth = json.loads((tmp_path / "truth.json").read_text())
    assert (truth["schema"], truth["seed"], truth["pattern"]) == ("marrowmap-truth/1", 20_001, "focal")
    assert truth["person"]["sex"] == "F"
    (lesion,) = truth["lesions"]
    assert (lesion["id"], lesion["region"], lesion["bone"]) == (1, "sacrum_pelvis", "pelvis_left")
    assert (lesion["volume_ml"], lesion["centroid_ras_mm"]) == (0.045, [3.0, 3.0, 10.0])
    assert truth["marrow_fat_fraction"] is None  # not a number in this exam; JSON has only null for it


def test_the_label_maps_read_back_as_they_were(tmp_path: Path) -> None:
    write_exam(small_exam(20_001), tmp_path)
    labels, affine = read_nifti(tmp_path / "truth_lesions.nii.gz")
    regions, _ = read_nifti(tmp_path / "truth_regions.nii.gz")
    assert labels.sum() == 1
    assert regions[1, 1, 2] == Region.SACRUM_PELVIS
    np.testing.assert_allclose(affine, np.diag([3.0, 3.0, 5.0, 1.0]))


def test_a_nifti_exam_reads_back_as_an_exam(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exam = Exam(volumes={item.sequence: item.volume for item in small_exam(1).acquisitions})
    monkeypatch.setattr(cohort, "to_exam", lambda _: exam)
    write_exam(small_exam(20_001), tmp_path, "nifti")
    assert set(read_nifti_folder(tmp_path / "nifti").volumes) == {Sequence.T1, Sequence.DWI_HIGH}


@pytest.mark.usefixtures("simulated_small")
def test_several_exams_go_to_folders_named_by_seed(tmp_path: Path) -> None:
    folders = list(write_cohort(tmp_path, CohortSettings(exams=2, seed=20_007)))
    assert [folder.name for folder in folders] == ["exam_20007", "exam_20008"]
    seeds = [json.loads((folder / "truth.json").read_text())["seed"] for folder in folders]
    assert seeds == [20_007, 20_008]


@pytest.mark.usefixtures("simulated_small")
def test_a_folder_in_use_is_refused_because_two_studies_would_mix(tmp_path: Path) -> None:
    list(write_cohort(tmp_path, CohortSettings()))
    with pytest.raises(SettingsError, match="need a new or empty folder"):
        list(write_cohort(tmp_path, CohortSettings()))


def test_no_exam_and_a_negative_seed_are_refused() -> None:
    with pytest.raises(SettingsError, match="at least one exam"):
        CohortSettings(exams=0)
    with pytest.raises(SettingsError, match="seed of 0 or more"):
        CohortSettings(seed=-1)


@pytest.mark.usefixtures("simulated_small")
def test_the_command_prints_one_line_and_keeps_progress_to_stderr(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main([str(tmp_path / "out"), "--exams", "2", "--seed", "20000", "--pattern", "focal"]) == 0
    out, err = capsys.readouterr()
    assert out == f"2 simulated exams (seeds 20000 to 20001) as dicom in {tmp_path / 'out'}\n"
    assert len(err.splitlines()) == 2


@pytest.mark.usefixtures("simulated_small")
def test_the_command_is_silent_on_stderr_when_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command.main([str(tmp_path / "out"), "--quiet"])
    assert capsys.readouterr().err == ""


def test_an_unknown_pattern_is_a_wrong_option(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as stop:
        command.main([str(tmp_path / "out"), "--pattern", "striped"])
    assert stop.value.code == 2


def test_a_folder_that_holds_no_body_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "maps").mkdir()
    with pytest.raises(SettingsError, match="need a label map with a JSON of names"):
        next(write_cohort(tmp_path / "out", CohortSettings(anatomy=tmp_path / "maps")))
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("simulated_small")
def test_vendor_and_multi_frame_files_are_options_of_the_command(tmp_path: Path) -> None:
    assert command.main([str(tmp_path / "out"), "--vendor", "ge", "--enhanced", "true", "--quiet"]) == 0
    files = list((tmp_path / "out" / "dicom").rglob("*.dcm"))
    assert len(files) == 2  # T1 and diffusion, one file each
    assert {pydicom.dcmread(file).Manufacturer for file in files} == {"GE MEDICAL SYSTEMS"}


def test_effects_asked_for_on_the_command_line_reach_the_scanner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def simulate(seed: int, *, settings: SimulationSettings, **_: object) -> SimulatedExam:
        asked.append(settings)
        return small_exam(seed)

    monkeypatch.setattr(cohort, "simulate_exam", simulate)
    for words in ("metal, ghosts", "none"):
        command.main([str(tmp_path / words[:4]), "--effects", words, "--wildness", "0.5", "--quiet"])
    assert [settings.effects for settings in asked] == [{"metal", "ghosts"}, frozenset()]
    assert asked[0].wildness == 0.5


def test_an_unknown_effect_is_refused() -> None:
    with pytest.raises(SettingsError, match="unknown effect 'fog'"):
        CohortSettings(effects=("fog",))
