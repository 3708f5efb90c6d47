"""Bodies from label maps that a user brings."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from marrowmap.data.errors import SettingsError
from marrowmap.data.nifti import write_nifti
from marrowmap.data.simulate import label_maps
from marrowmap.data.simulate.exam import SimulationSettings, simulate_exam
from marrowmap.data.simulate.label_maps import read_anatomy
from marrowmap.data.simulate.label_names import meaning_of
from marrowmap.data.simulate.labels import Bone, Tissue

NAMES = {1: "body_trunc", 2: "vertebrae_L5", 3: "vertebrae_L4", 4: "spleen", 5: "hip_left", 6: "hip_right"}


def toy_labels() -> np.ndarray:
    """Return 60 x 40 x 50 voxels: two vertebrae, two hips and a spleen in a box, x running to the right."""
    labels = np.zeros((60, 40, 50), dtype=np.uint16)
    labels[5:55, 5:35, :] = 1
    labels[25:35, 12:24, 20:30] = 2
    labels[25:35, 12:24, 32:42] = 3
    labels[10:18, 20:28, 38:46] = 4
    labels[12:20, 12:24, 4:18] = 5
    labels[40:48, 12:24, 4:18] = 6
    return labels


def write_map(folder: Path, labels: np.ndarray, affine: np.ndarray) -> None:
    write_nifti(folder / "labels.nii.gz", labels, affine)
    (folder / "names.json").write_text(json.dumps({str(k): v for k, v in NAMES.items()}), encoding="utf-8")


def test_a_named_label_map_becomes_a_body_with_its_bones_and_organs(tmp_path: Path) -> None:
    write_map(tmp_path, toy_labels(), np.diag([4.0, 4.0, 4.0, 1.0]))
    body = read_anatomy(tmp_path, spacing_mm=4.0)
    assert (body.tissue == Tissue.SPLEEN).sum() == 8 * 8 * 8
    assert (body.bone == Bone.L5).sum() == 10 * 12 * 10
    core = (body.bone == Bone.L5) & (body.tissue == Tissue.MARROW)
    assert core.sum() == 8 * 10 * 8  # one voxel of shell on every side
    right, left = (
        np.argwhere(body.bone == bone)[:, 0].mean() for bone in (Bone.PELVIS_RIGHT, Bone.PELVIS_LEFT)
    )
    assert right > left


def test_half_the_spacing_gives_eight_times_the_voxels(tmp_path: Path) -> None:
    write_map(tmp_path, toy_labels(), np.diag([4.0, 4.0, 4.0, 1.0]))
    fine = read_anatomy(tmp_path, spacing_mm=2.0)
    assert (fine.tissue == Tissue.SPLEEN).sum() == 8 * 8**3


def test_a_map_that_runs_left_back_and_down_is_turned_to_right_front_and_up(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    write_map(tmp_path / "a", toy_labels(), np.diag([4.0, 4.0, 4.0, 1.0]))
    write_map(tmp_path / "b", toy_labels()[::-1, ::-1, ::-1], np.diag([-4.0, -4.0, -4.0, 1.0]))
    assert np.array_equal(
        read_anatomy(tmp_path / "a", spacing_mm=4.0).tissue,
        read_anatomy(tmp_path / "b", spacing_mm=4.0).tissue,
    )


def test_masks_by_class_give_the_same_body_as_the_map(tmp_path: Path) -> None:
    (tmp_path / "map").mkdir()
    write_map(tmp_path / "map", toy_labels(), np.diag([4.0, 4.0, 4.0, 1.0]))
    for value, name in NAMES.items():
        mask = toy_labels() > 0 if name == "body_trunc" else toy_labels() == value
        write_nifti(tmp_path / "masks" / f"{name}.nii.gz", mask, np.diag([4.0, 4.0, 4.0, 1.0]))
    whole, masks = (read_anatomy(tmp_path / kind, spacing_mm=4.0) for kind in ("map", "masks"))
    assert np.array_equal(whole.tissue, masks.tissue)
    assert np.array_equal(whole.bone, masks.bone)


def test_bones_without_a_body_are_wrapped_in_muscle_and_fat(tmp_path: Path) -> None:
    labels = toy_labels()
    labels[labels == 1] = 0
    write_map(tmp_path, labels, np.diag([4.0, 4.0, 4.0, 1.0]))
    tissue = read_anatomy(tmp_path, spacing_mm=4.0).tissue
    assert {int(Tissue.MUSCLE), int(Tissue.SUBCUTANEOUS_FAT)} <= set(np.unique(tissue))


def test_a_voxel_phantom_is_read_with_its_list_of_organs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(label_maps._ICRP, "AF", ((4, 3, 14), (4.0, 4.0, 4.0)))
    values = np.zeros(
        (14, 3, 4), dtype=int
    )  # slices from the feet, rows from the front, columns from the right
    values[:7, :, :] = 52  # lumbar spine, spongiosa
    values[7:, :, :2] = 95
    (tmp_path / "AF.dat").write_text(" ".join(map(str, values.ravel())), encoding="ascii")
    (tmp_path / "AF_organs.dat").write_text(
        "Organ ID  Organ/tissue  Tissue number  Density\n"
        "52    Lumbar spine, spongiosa                        19    1.171\n"
        "95    Liver                                          34    1.050\n",
        encoding="ascii",
    )
    body = read_anatomy(tmp_path, spacing_mm=4.0)
    assert body.person.sex == "F"
    heights = [np.argwhere(body.bone == bone)[:, 2].mean() for bone in (Bone.L5, Bone.L3, Bone.L1)]
    assert heights == sorted(heights)
    liver = np.argwhere(body.tissue == Tissue.LIVER)[:, 0].mean()
    assert liver > np.argwhere(body.bone > 0)[:, 0].mean()


def test_an_exam_is_simulated_on_a_body_that_was_brought(tmp_path: Path) -> None:
    write_map(tmp_path, toy_labels(), np.diag([4.0, 4.0, 4.0, 1.0]))
    (tmp_path / "person.json").write_text('{"sex": "F", "age_years": 71}', encoding="utf-8")
    body = read_anatomy(tmp_path, spacing_mm=4.0)
    exam = simulate_exam(1, pattern="focal", settings=SimulationSettings(spacing_mm=4.0), anatomy=body)
    assert exam.truth.lesions
    assert (exam.truth.person.sex, exam.truth.person.age_years) == ("F", 71.0)


@pytest.mark.parametrize(
    ("name", "bones", "tissue"),
    [
        ("vertebrae_T12", (Bone.T12,), None),
        ("Clavicles, cortical", (Bone.CLAVICLE_RIGHT, Bone.CLAVICLE_LEFT), None),
        ("rib_left_7", (Bone.RIBS,), None),
        ("femur_right", (Bone.FEMUR_RIGHT,), None),
        ("Humeri, upper half, medullary cavity", (Bone.HUMERUS_RIGHT, Bone.HUMERUS_LEFT), None),
        ("Kidney, left, pelvis", (), Tissue.BLADDER),
        ("kidney_left", (), Tissue.KIDNEY),
        ("costal_cartilages", (), Tissue.CARTILAGE),
        ("iliac_vena_left", (), Tissue.BLOOD),
        ("gluteus_maximus_left", (), Tissue.MUSCLE),
        ("urinary_bladder", (), Tissue.BLADDER),
        ("Residual tissue, trunk", (), Tissue.SUBCUTANEOUS_FAT),
    ],
)
def test_names_of_others_are_understood(name: str, bones: tuple[Bone, ...], tissue: Tissue | None) -> None:
    meaning = meaning_of(name)
    assert meaning is not None
    assert (meaning.bones, meaning.tissue) == (bones, tissue)


def test_an_unknown_name_means_nothing() -> None:
    assert meaning_of("flux capacitor") is None


def test_folders_that_hold_no_body_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="found 0 NIfTI and 0 JSON files"):
        read_anatomy(tmp_path)
    with pytest.raises(SettingsError, match="found no folder nowhere"):
        read_anatomy(tmp_path / "nowhere")
    (tmp_path / "AM.dat").write_text("1 2 3", encoding="ascii")
    with pytest.raises(SettingsError, match=r"need AM_organs\.dat beside AM\.dat"):
        read_anatomy(tmp_path)
    (tmp_path / "AM_organs.dat").write_text("1  Liver  3  1.05\n", encoding="ascii")
    with pytest.raises(SettingsError, match=r"need 7161276 voxels in AM\.dat, found 3"):
        read_anatomy(tmp_path)


def test_a_map_without_bone_is_refused(tmp_path: Path) -> None:
    labels = np.where(toy_labels() == 4, 4, 0).astype(np.uint16)
    write_map(tmp_path, labels, np.diag([4.0, 4.0, 4.0, 1.0]))
    with pytest.raises(SettingsError, match="need bones among the labels"):
        read_anatomy(tmp_path)
