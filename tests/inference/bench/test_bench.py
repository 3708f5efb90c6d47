from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from marrowmap.data.errors import MaskError, SettingsError, StudyError
from marrowmap.data.grid import Grid
from marrowmap.data.read import read_exam
from marrowmap.inference.bench.lesion_lists import compare_masks
from marrowmap.inference.bench.meter import STAGES, Meter
from marrowmap.inference.bench.run import BenchSettings, bench
from marrowmap.inference.bench.side import run_ours, run_usual
from marrowmap.inference.bench.tables import bench_table, plot_sizes
from marrowmap.inference.bench.task import Side, Task, brought_to, read_mask, source_grid, task_of
from marrowmap.models.bundle import Bundle
from marrowmap.scripts import bench as command

GRID = Grid(shape=(12, 12, 12), affine_ras_mm=np.diag([2.5, 2.5, 2.5, 1.0]))


def task(out: Path, study: Path, bundle: Bundle, side: Side = "ours", threads: int = 1) -> Task:
    out.mkdir()
    return Task(side=side, study=study, weights=bundle.folder, out=out, threads=threads)


def masks(*boxes: tuple[int, int]) -> np.ndarray:
    mask = np.zeros(GRID.shape, dtype=bool)
    for low, high in boxes:
        mask[low:high, low:high, low:high] = True
    return mask


def test_equal_masks_have_a_dice_of_1_and_no_difference() -> None:
    found = compare_masks(masks((1, 3)), masks((1, 3)), GRID)
    assert (found.dice, found.lost, found.gained) == (1.0, (), ())


def test_two_empty_masks_are_equal() -> None:
    assert compare_masks(masks(), masks(), GRID).dice == 1.0


def test_a_lesion_that_only_one_side_has_is_listed_with_place_and_size() -> None:
    found = compare_masks(masks((1, 3), (8, 10)), masks((1, 3)), GRID)
    assert found.dice == pytest.approx(2 * 8 / 24)
    (lost,) = found.lost
    assert lost.centroid_ras_mm == (21.2, 21.2, 21.2)
    assert lost.volume_ml == 0.125
    assert lost.is_focal
    assert found.gained == ()


def test_masks_of_two_grids_are_refused() -> None:
    with pytest.raises(MaskError, match="need masks of one shape"):
        compare_masks(masks(), np.zeros((2, 2, 2), dtype=bool), GRID)


def test_the_peak_of_a_stage_is_what_it_held_and_not_what_came_before() -> None:
    meter = Meter()
    with meter.stage("large"):
        np.ones(30_000_000).sum()
    with meter.stage("small"):
        pass
    large, small = meter.costs["large"], meter.costs["small"]
    assert large.peak_mb > 240
    assert small.peak_mb <= large.peak_mb
    assert large.seconds > 0


def test_a_task_survives_the_way_to_its_process(tmp_path: Path) -> None:
    sent = Task(side="usual", study=tmp_path, weights=None, out=tmp_path, threads=2, size=(8, 9, 10))
    assert task_of(sent.to_text()) == sent


def test_a_finer_volume_covers_the_same_extent(study: Path) -> None:
    exam = read_exam(study)
    before, after = source_grid(exam), source_grid(brought_to(exam, (96, 72, 96)))
    faces = np.array([[-0.5, -0.5, -0.5]])
    assert_allclose(before.points_mm(faces), after.points_mm(faces))
    assert_allclose(before.spacing_mm, [2 * s for s in after.spacing_mm])


def test_both_sides_measure_every_stage_on_the_same_grid(
    tmp_path: Path, study: Path, small_bundle: Bundle
) -> None:
    ours = run_ours(task(tmp_path / "ours", study, small_bundle))
    usual = run_usual(task(tmp_path / "usual", study, small_bundle, "usual"))
    assert tuple(ours["stages"]) == tuple(usual["stages"]) == STAGES
    (our_mask, grid), (usual_mask, usual_grid) = (read_mask(tmp_path / side) for side in ("ours", "usual"))
    assert our_mask.shape == usual_mask.shape == (48, 36, 48)
    assert_allclose(grid.affine_ras_mm, usual_grid.affine_ras_mm)
    assert (tmp_path / "ours/findings/report.html").is_file()
    assert (tmp_path / "usual/lesions.nii.gz").is_file()


def test_the_same_mask_with_1_and_2_threads_and_the_same_bytes_twice(
    tmp_path: Path, study: Path, small_bundle: Bundle
) -> None:
    for name, threads in (("one", 1), ("two", 2), ("again", 1)):
        run_ours(task(tmp_path / name, study, small_bundle, threads=threads))
    one, two = (read_mask(tmp_path / name)[0] for name in ("one", "two"))
    assert_array_equal(one, two)
    for file in ("lesions.csv", "mip.png"):
        first, *others = [
            (tmp_path / name / "findings" / file).read_bytes() for name in ("one", "two", "again")
        ]
        assert others == [first, first]


@pytest.mark.long
def test_the_bench_whole_in_processes_of_its_own(study: Path, small_bundle: Bundle, tmp_path: Path) -> None:
    settings = BenchSettings(weights=small_bundle.folder, repeats=1, threads=1, sizes=((24, 18, 24),))
    result = bench(study, settings)
    assert result["usual"]["total"]["peak_mb"] > result["ours"]["stages"]["windows"]["peak_mb"] * 0.5
    assert result["foretold"]["peak_memory_mb"]["measured"] > 0
    assert "times faster" in bench_table(result)
    plot_sizes(result["sizes"], tmp_path / "plot.svg")
    assert (tmp_path / "plot.svg").stat().st_size > 1000


def test_a_study_that_is_not_there_is_refused_in_one_line(tmp_path: Path, small_bundle: Bundle) -> None:
    with pytest.raises(StudyError, match="does not exist; need a DICOM folder"):
        bench(tmp_path / "none", BenchSettings(weights=small_bundle.folder, repeats=1, threads=1))


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--sizes", "12x12"], "need a size such as 256x256x200, found 12x12"),
        (["--sizes", "4x12x12"], "need sizes of 8 voxels or more"),
        (["--repeats", "0"], "need one repeat or more, found 0"),
        (["--threads", "0"], "need one thread or more, found 0"),
        (["--plot", "growth.svg"], "need --sizes for --plot"),
    ],
)
def test_options_that_cannot_be_run_are_refused(words: list[str], reason: str) -> None:
    with pytest.raises(SettingsError, match=reason):
        command.main(["study", *words])


def stage(seconds: float) -> dict[str, float]:
    return {"seconds": seconds, "cpu_seconds": seconds, "peak_mb": 100 * seconds}


def side(seconds: float) -> dict[str, Any]:
    return {"engine": "x 1", "stages": dict.fromkeys(STAGES, stage(seconds)), "total": stage(7 * seconds)}


def test_a_plot_needs_a_measured_size_and_a_known_kind(tmp_path: Path) -> None:
    left_out = {"size": "512x512x1000", "voxels": 262_144_000, "left_out": "needs about 26214 MB"}
    with pytest.raises(SettingsError, match="need one measured size"):
        plot_sizes([left_out], tmp_path / "plot.svg")
    with pytest.raises(SettingsError, match=r"need a plot named .svg or .png, found plot.doc"):
        plot_sizes([left_out], tmp_path / "plot.doc")


def test_growth_is_drawn_from_what_was_measured(tmp_path: Path) -> None:
    points = [{"size": "a", "voxels": n * 10**6, "usual": side(n), "ours": side(1)} for n in (1, 2)]
    plot_sizes(points, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes()[:4] == b"\x89PNG"
