"""Own annotated exams: found in each layout, split by patient, prepared, mixed in, refused when unusable."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from marrowmap.data.annotated import find_annotated
from marrowmap.data.errors import NoStudyError, SeedError, SettingsError, StudyError
from marrowmap.data.exam import Exam, Sequence, Volume
from marrowmap.data.model_input import ModelInputSettings
from marrowmap.data.nifti import write_nifti
from marrowmap.data.nifti_layouts import write_exam
from marrowmap.data.skeleton import UNLABELLED
from marrowmap.training.annotated import annotated_split, prepare_annotated, read_split
from marrowmap.training.cache import ExamCache
from marrowmap.training.config import LossSettings, StreamSettings, TrainSettings
from marrowmap.training.export import ExportSettings, export
from marrowmap.training.losses import segmentation_loss
from marrowmap.training.stream import PatchDataset
from marrowmap.training.toy import toy_exam
from marrowmap.training.train import train

SHAPE, SPACING_MM = (24, 20, 40), 8.0
AFFINE = np.diag([SPACING_MM, SPACING_MM, SPACING_MM, 1.0])
COARSE = ModelInputSettings(spacing_mm=8.0)


def lesion_map() -> np.ndarray:
    lesions = np.zeros(SHAPE, dtype=np.uint8)
    lesions[10:12, 9:11, 20:22] = 1
    lesions[5, 9, 8] = 1
    return lesions


def small_exam(seed: int) -> Exam:
    """Return a body of muscle with noise, bright on diffusion in its lesions."""
    rng = np.random.default_rng(seed)
    body = np.zeros(SHAPE, dtype=np.float32)
    body[3:-3, 3:-3, :] = 100.0
    body += rng.uniform(0, 5, SHAPE).astype(np.float32)
    bright = body + 400.0 * lesion_map()
    volumes = {
        Sequence.T1: Volume(array=body, affine_ras_mm=AFFINE),
        Sequence.DWI_HIGH: Volume(
            array=bright.astype(np.float32), affine_ras_mm=AFFINE, b_value_s_per_mm2=900.0
        ),
        Sequence.DWI_LOW: Volume(array=2 * body, affine_ras_mm=AFFINE, b_value_s_per_mm2=50.0),
    }
    return Exam(volumes=volumes)


def write_ours(folder: Path, seed: int, *, regions: bool = False) -> None:
    write_exam(small_exam(seed), folder)
    write_nifti(folder / "truth_lesions.nii.gz", lesion_map(), AFFINE)
    if regions:
        write_nifti(folder / "truth_regions.nii.gz", lesion_map() * 4, AFFINE)


def write_nnunet(folder: Path, cases: int, labels: dict[str, int]) -> None:
    channels = {"0": "t1", "1": "dwi_b900", "2": "dwi_b50"}
    order = (Sequence.T1, Sequence.DWI_HIGH, Sequence.DWI_LOW)
    for case in range(cases):
        exam = small_exam(case)
        for n, sequence in enumerate(order):
            write_nifti(folder / "imagesTr" / f"Case{case}_{n:04d}.nii.gz", exam[sequence].array, AFFINE)
        write_nifti(folder / "labelsTr" / f"Case{case}.nii.gz", lesion_map() * max(labels.values()), AFFINE)
    described = {"channel_names": channels, "labels": labels, "file_ending": ".nii.gz"}
    (folder / "dataset.json").write_text(json.dumps(described))


def stream(folder: Path, **more: object) -> StreamSettings:
    return StreamSettings(annotated=folder, workers=0, patch_size=(16, 16, 24), **more)  # type: ignore[arg-type]


def test_a_folder_of_nifti_exams_is_prepared_without_a_region_map(tmp_path: Path) -> None:
    write_ours(tmp_path / "anna" / "first", 1)
    (exam,) = find_annotated(tmp_path)
    assert (exam.name, exam.patient) == ("anna/first", "anna")
    prepared = prepare_annotated(exam, COARSE)
    assert set(np.unique(prepared.regions)) == {UNLABELLED}
    assert sorted(np.unique(prepared.lesions)) == [0, 1, 2]  # a mask without instances is split
    assert prepared.facts["lesions"][0] == {"id": 1, "longest_diameter_mm": 8.0}
    assert prepared.facts["is_simulated"] is False


def test_bids_sessions_of_one_subject_are_one_patient(tmp_path: Path) -> None:
    for session in ("1", "2"):
        write_exam(small_exam(int(session)), tmp_path / "raw", "bids")
        (tmp_path / "sub-001").mkdir(exist_ok=True)
        (tmp_path / "raw" / "sub-001").rename(tmp_path / "sub-001" / f"ses-{session}")
        drawn = tmp_path / "derivatives" / f"sub-001_ses-{session}_desc-lesions_dseg.nii.gz"
        write_nifti(drawn, lesion_map(), AFFINE)
    exams = find_annotated(tmp_path)
    assert [(exam.name, exam.patient) for exam in exams] == [
        ("sub-001_ses-1", "sub-001"),
        ("sub-001_ses-2", "sub-001"),
    ]
    assert prepare_annotated(exams[1], COARSE).present == (True, True, True, False, False)


def test_nnunet_cases_are_read_by_the_label_named_lesion(tmp_path: Path) -> None:
    write_nnunet(tmp_path, 2, {"background": 0, "marrow": 1, "lesion": 2})
    exams = find_annotated(tmp_path)
    assert [exam.name for exam in exams] == ["Case0", "Case1"]
    assert prepare_annotated(exams[1], COARSE).lesions.max() == 2


def test_labels_without_a_lesion_among_them_are_refused(tmp_path: Path) -> None:
    write_nnunet(tmp_path, 1, {"background": 0, "marrow": 1, "spine": 2})
    with pytest.raises(StudyError, match=r"one label named lesion in dataset\.json, found marrow, spine"):
        find_annotated(tmp_path)


def test_a_table_of_patients_joins_exams(tmp_path: Path) -> None:
    write_ours(tmp_path / "a", 1)
    write_ours(tmp_path / "b", 2)
    (tmp_path / "patients.csv").write_text("exam,patient\na,one\nb,one\n")
    assert {exam.patient for exam in find_annotated(tmp_path)} == {"one"}


def test_an_empty_folder_says_what_is_needed(tmp_path: Path) -> None:
    with pytest.raises(NoStudyError, match="need exam folders with truth_lesions"):
        find_annotated(tmp_path)


def test_a_simulated_exam_of_the_test_set_is_refused(tmp_path: Path) -> None:
    write_ours(tmp_path / "a", 1)
    (tmp_path / "a" / "truth.json").write_text('{"seed": 20000}')
    with pytest.raises(SeedError, match="found 20000"):
        find_annotated(tmp_path)


def test_labels_beside_the_exam_are_refused_with_its_name(tmp_path: Path) -> None:
    write_ours(tmp_path / "a", 1)
    far = AFFINE.copy()
    far[:3, 3] = 5000.0
    write_nifti(tmp_path / "a" / "truth_lesions.nii.gz", lesion_map(), far)
    with pytest.raises(StudyError, match=r"^a: no lesion of truth_lesions"):
        prepare_annotated(find_annotated(tmp_path)[0], COARSE)


def test_every_patient_validates_in_one_fold_of_five(tmp_path: Path) -> None:
    for patient in range(7):
        for visit in range(2):
            write_ours(tmp_path / f"p{patient}" / f"v{visit}", 10 * patient + visit)
    held_out: list[str] = []
    for fold in range(5):
        split = annotated_split(stream(tmp_path, fold=fold))
        validated = {split.exams[number].patient for number in split.validation}
        assert not validated & {split.exams[number].patient for number in split.training}
        assert len(split.training) + len(split.validation) == 14
        held_out += validated
    assert sorted(held_out) == [f"p{n}" for n in range(7)]
    assert not annotated_split(stream(tmp_path, fold=None)).validation


def test_more_folds_than_patients_are_refused(tmp_path: Path) -> None:
    write_ours(tmp_path / "a", 1)
    with pytest.raises(SettingsError, match="5 folds need as many patients, found 1"):
        annotated_split(stream(tmp_path))


def test_an_exam_drawn_anew_has_a_new_number_and_the_others_keep_theirs(tmp_path: Path) -> None:
    write_ours(tmp_path / "a", 1)
    write_ours(tmp_path / "b", 2)
    before = set(annotated_split(stream(tmp_path, fold=None)).exams)
    write_nifti(tmp_path / "a" / "truth_lesions.nii.gz", np.roll(lesion_map(), 1, 0), AFFINE)
    assert len(before & set(annotated_split(stream(tmp_path, fold=None)).exams)) == 1


def test_patches_come_from_own_and_simulated_exams_by_their_weights(tmp_path: Path) -> None:
    cache = ExamCache(tmp_path / "cache", {})
    cache.save(0, toy_exam(0, COARSE))
    own = replace(toy_exam(1, COARSE), regions=np.full(toy_exam(1, COARSE).regions.shape, UNLABELLED))
    cache.save(1 << 40, own)
    settings = stream(tmp_path, annotated_weight=3.0, simulated_weight=1.0)
    patches = PatchDataset(cache, [0], settings, None, seed=0, length=80, annotated=[1 << 40])
    own_patches = sum(bool((patches[n]["regions"] == UNLABELLED).any()) for n in range(80))
    assert 45 <= own_patches <= 72


def test_regions_that_nobody_drew_move_no_weight() -> None:
    torch.manual_seed(0)
    cells = torch.randn(2, 80, 4, 4, 4, requires_grad=True)
    coarse = torch.randn(2, 9, 4, 4, 4, requires_grad=True)
    lesion = torch.randint(0, 2, (2, 8, 8, 8), dtype=torch.uint8)
    nobody = torch.full((2, 8, 8, 8), UNLABELLED, dtype=torch.uint8)
    parts = segmentation_loss(cells, lesion, nobody, LossSettings(), coarse=[coarse])
    parts.total.backward()
    assert (parts.region_dice.item(), parts.region_entropy.item(), parts.coarse_entropy.item()) == (0, 0, 0)
    assert cells.grad is not None
    assert not cells.grad[:, 8:].any()
    assert cells.grad[:, :8].any()
    assert coarse.grad is not None
    assert not coarse.grad.any()


def test_a_process_without_drawn_regions_takes_part_in_every_sum_that_the_others_wait_for() -> None:
    torch.manual_seed(0)
    cells, coarse = torch.randn(2, 80, 4, 4, 4), torch.randn(2, 9, 4, 4, 4)
    lesion = torch.zeros((2, 8, 8, 8), dtype=torch.uint8)
    shapes = []
    for value in (0, UNLABELLED):
        regions, called = torch.full((2, 8, 8, 8), value, dtype=torch.uint8), []

        def pooled(*sums: torch.Tensor, called: list[list[int]] = called) -> tuple[torch.Tensor, ...]:
            called.append([one.numel() for one in sums])
            return sums

        segmentation_loss(cells, lesion, regions, LossSettings(), coarse=[coarse], pooled=pooled)
        shapes.append(called)
    assert shapes[0] == shapes[1]
    assert len(shapes[0]) == 5


def test_one_exam_with_regions_teaches_them_alone() -> None:
    torch.manual_seed(0)
    cells, coarse = torch.randn(2, 80, 4, 4, 4), torch.randn(2, 9, 4, 4, 4)
    lesion = torch.zeros((2, 8, 8, 8), dtype=torch.uint8)
    regions = torch.randint(0, 9, (2, 8, 8, 8), dtype=torch.uint8)
    regions[1] = UNLABELLED
    settings = LossSettings(region_stride=1)
    mixed = segmentation_loss(cells, lesion, regions, settings, coarse=[coarse])
    alone = segmentation_loss(cells[:1], lesion[:1], regions[:1], settings, coarse=[coarse[:1]])
    for name in ("region_dice", "region_entropy", "coarse_entropy"):
        assert getattr(mixed, name).item() == pytest.approx(getattr(alone, name).item(), abs=1e-5)


def test_a_run_on_own_exams_alone_trains_resumes_and_exports(
    small_run: TrainSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(3):
        write_ours(tmp_path / "data" / f"p{n}", n, regions=n == 0)
    own = stream(tmp_path / "data", simulated_weight=0.0, folds=3, fold=1, cache=tmp_path / "cache")
    settings = replace(small_run, stream=own)
    checkpoint = train(settings)
    assert checkpoint is not None
    assert [len(numbers) for numbers in read_split(settings.run).values()] == [2, 1]
    stopped = replace(settings, run=tmp_path / "stopped")
    with monkeypatch.context() as patch:
        patch.setattr("marrowmap.training.module.MarrowModule.is_stopped", lambda self: self.global_step >= 3)
        train(stopped)
    train(replace(stopped, resume=True))
    first, second = (
        torch.load(run / "last.ckpt", weights_only=True)["state_dict"] for run in (settings.run, stopped.run)
    )
    assert all(torch.equal(first[name], second[name]) for name in first)
    bundle = export(settings.run, tmp_path / "bundle", ExportSettings(threads=1))
    assert bundle.trained_on == "2 annotated exams (all but fold 1 of 3), 6 steps"
    assert "Validation (annotated)" in (tmp_path / "bundle" / "model_card.md").read_text()
    write_ours(tmp_path / "data" / "p3", 3)
    with pytest.raises(SettingsError, match=r"not those that .* began with"):
        train(replace(stopped, resume=True))


def test_nobody_held_out_trains_without_validation(small_run: TrainSettings, tmp_path: Path) -> None:
    write_ours(tmp_path / "data" / "p0", 0)
    own = stream(tmp_path / "data", simulated_weight=0.0, fold=None, cache=tmp_path / "cache")
    train(replace(small_run, stream=own))
    assert "validation" not in (small_run.run / "metrics.csv").read_text()


@pytest.mark.parametrize(
    ("fold", "simulated", "words"),
    [(0, 1.0, "simulated and annotated"), (0, 0.0, "annotated"), (None, 1.0, "simulated")],
)
def test_what_validates_is_called_by_its_kind(
    tmp_path: Path, fold: int | None, simulated: float, words: str
) -> None:
    for n in range(5):
        write_ours(tmp_path / f"p{n}", n)
    settings = stream(tmp_path, fold=fold, simulated_weight=simulated)
    assert annotated_split(settings).validated_on(settings) == words


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"fold": 5}, "fold needs 0 to 4"),
        ({"folds": 1}, "folds needs 2 or more"),
        ({"annotated_weight": 0.0}, "annotated_weight needs to be positive"),
        ({"simulated_weight": 0.0, "mode": "growing", "workers": 1}, "growing needs simulated exams"),
    ],
)
def test_a_mixture_that_cannot_work_is_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        StreamSettings(annotated=Path("data"), **wrong)  # type: ignore[arg-type]
