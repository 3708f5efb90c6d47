"""The realism report: what is measured, what counts, and what the page says of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from marrowmap.data.errors import SettingsError
from marrowmap.data.simulate import realism
from marrowmap.data.simulate.exam import SimulatedExam, SimulationSettings, simulate_exam, to_exam
from marrowmap.data.simulate.protocol import ScannerSettings
from marrowmap.data.simulate.realism import RealismSettings
from marrowmap.data.simulate.realism_figures import PUBLISHED, Published
from marrowmap.data.simulate.realism_measure import Measured, MeasuredExam, measured
from marrowmap.data.simulate.realism_page import Montage, write_page
from marrowmap.data.simulate.realism_rows import Row, lesion_sizes, signal_rows, values_of, volume_rows
from marrowmap.data.simulate.signal import SignalSettings
from marrowmap.scripts import realism as command

NORMAL_MARROW = {f.quantity: f for f in PUBLISHED if f.name.startswith("normal marrow, spine")}


def exam_with(*regions: Measured, pattern: str = "focal", sex: str = "F", **volumes: float) -> MeasuredExam:
    return MeasuredExam(
        seed=1,
        pattern=pattern,
        diffuse_grade="none",
        sex=sex,
        regions=regions,
        volumes_ml={**BONES, **volumes},
    )


BONES = dict.fromkeys(
    ("cervical spine", "thoracic spine", "lumbar spine", "sacrum", "pelvis", "ribs", "sternum", "clavicles",
     "scapulae", "cranium"), 100.0,
)  # fmt: skip


def lesion(adc: float, diameter_mm: float = 15.0, kind: str = "active") -> Measured:
    return Measured(kind=f"lesion: {kind}", adc_um2_per_s=adc, longest_diameter_mm=diameter_mm)


HIGHEST = Published(
    name="x", kind="lesion: ", quantity="adc_um2_per_s", mean=1000, sd=100, source="s", highest_only=True,
    patterns=("focal",),
)  # fmt: skip


@pytest.fixture(scope="module")
def normal(make_toy_body: Callable[..., Any]) -> MeasuredExam:
    """An exam of a body of boxes without effects, with little noise."""
    body = make_toy_body()
    scanner = ScannerSettings(
        coronal_snr=300.0, diffusion_snr=100.0, gain_spread=0.0, bias_spread=0.0, diffusion_shift_mm=0.0,
        diffusion_stretch=0.0,
    )  # fmt: skip
    settings = SimulationSettings(scanner=scanner, signal=SignalSettings())
    simulated = simulate_exam(2, pattern="normal", settings=settings, anatomy=body)
    return measured(body, simulated, to_exam(simulated))


@pytest.mark.parametrize("quantity", ["adc_um2_per_s", "low_b", "high_b"])
def test_normal_marrow_measures_within_one_standard_deviation_of_100_healthy_adults(
    normal: MeasuredExam, quantity: str
) -> None:
    figure = NORMAL_MARROW[quantity]
    (marrow,) = normal.of("marrow")
    assert abs(getattr(marrow, quantity) - figure.mean) <= figure.allowed


def test_muscle_is_its_own_reference(normal: MeasuredExam) -> None:
    (muscle,) = normal.of("muscle")
    assert (muscle.t1, muscle.stir, muscle.high_b) == pytest.approx((1, 1, 1), abs=0.05)


def test_volumes_are_counted_in_ml(normal: MeasuredExam) -> None:
    # Seven boxes of 22 x 18 x 14 voxels of 8 mm3 and their arches of 12 x 8 x 10: five of them lumbar.
    assert normal.volumes_ml["lumbar spine"] == pytest.approx(
        5 * (22 * 18 * 14 + 12 * 8 * 10) * 0.008, rel=0.01
    )


def test_only_findings_of_10_mm_or_more_count() -> None:
    small, large = lesion(900, 9.9), lesion(1100, 10.0)
    assert values_of(replace(HIGHEST, highest_only=False), [exam_with(small, large)]) == [1100]


def test_of_each_exam_only_the_highest_counts_where_the_paper_did_so() -> None:
    exams = [exam_with(lesion(900), lesion(1100)), exam_with(lesion(800))]
    assert values_of(HIGHEST, exams) == [1100, 800]


def test_other_patterns_do_not_count() -> None:
    assert values_of(HIGHEST, [exam_with(lesion(900), pattern="diffuse")]) == []


@pytest.mark.parametrize(("mean", "verdict"), [(1100, "pass"), (1101, "fail"), (900, "pass"), (899, "fail")])
def test_a_figure_passes_within_one_standard_deviation(mean: float, verdict: str) -> None:
    row = Row(
        name="x", quantity="ADC", published=1000, allowed=100, has_sd=True, simulated=mean, spread=0, count=3,
        source="s",
    )  # fmt: skip
    assert row.verdict == verdict


def test_what_no_exam_shows_is_not_seen_rather_than_missed() -> None:
    assert {row.verdict for row in signal_rows([exam_with()])} == {"not seen"}


def test_a_figure_without_a_spread_may_be_missed_by_a_quarter() -> None:
    assert replace(HIGHEST, sd=None).allowed == 250


def test_a_missed_figure_says_why_and_a_met_one_does_not() -> None:
    figures = [f for f in PUBLISHED if f.name == "focal lesion of the highest ADC"]
    assert figures[0].why
    by_adc = {
        adc: next(r for r in signal_rows([exam_with(lesion(adc))]) if r.name == figures[0].name)
        for adc in (1000, 500)
    }
    assert (by_adc[1000].verdict, by_adc[1000].why) == ("pass", "")
    assert (by_adc[500].verdict, by_adc[500].why) == ("fail", figures[0].why)


def test_organ_volumes_are_held_against_their_sex() -> None:
    rows = {row.name: row for row in volume_rows([exam_with(sex="F", liver=1500.0)])}
    assert (rows["liver, women"].published, rows["liver, women"].verdict) == (1504, "pass")
    assert rows["liver, men"].verdict == "not seen"
    assert "prostate, women" not in rows


def test_numbers_and_sizes_of_lesions_are_told_by_pattern() -> None:
    sizes = lesion_sizes([exam_with(lesion(900, 8.0), lesion(900, 12.0)), exam_with(pattern="normal")])
    assert list(sizes["focal"]) == [8.0, 12.0]
    assert list(sizes["count"]) == [2]


def test_the_page_stands_alone_and_says_that_its_numbers_are_simulated(tmp_path: Path) -> None:
    exam = exam_with(lesion(900))
    montage = Montage(exam=exam, pictures={"b900, front": np.zeros((4, 3), dtype=np.uint8)})
    rows = list(signal_rows([exam]))
    write_page(
        tmp_path / "p.html",
        rows,
        list(volume_rows([exam])),
        lesion_sizes([exam]),
        [montage],
        pattern_share={},
    )
    page = (tmp_path / "p.html").read_text()
    assert "Every number here is of simulated exams" in page
    assert "http" not in page.replace("https://", "http://") or "src='http" not in page
    assert page.count("<img") == 1
    assert "data:image/jpeg" in page


def test_the_command_writes_page_and_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], normal: MeasuredExam,
    make_toy_body: Callable[..., Any],
) -> None:  # fmt: skip
    simulated = simulate_exam(2, pattern="normal", anatomy=make_toy_body(shape=(80, 60, 100)))

    def measure(seed: int, pattern: str) -> tuple[MeasuredExam, SimulatedExam, Any]:
        return replace(normal, seed=seed), simulated, to_exam(simulated)

    monkeypatch.setattr(realism, "measure_exam", measure)
    assert command.main([str(tmp_path), "--exams", "1", "--quiet"]) == 0
    assert "figures met by 1 simulated exams" in capsys.readouterr().out
    found = json.loads((tmp_path / "realism.json").read_text())
    assert found["is_simulated"] is True
    assert {row["verdict"] for row in found["rows"]} <= {"pass", "fail", "not seen"}
    assert (tmp_path / "realism.html").stat().st_size > 10_000


def test_no_exam_and_a_negative_seed_are_refused() -> None:
    with pytest.raises(SettingsError, match="at least one exam to measure, found --exams 0"):
        RealismSettings(exams=0)
    with pytest.raises(SettingsError, match="seed of 0 or more, found --seed -1"):
        RealismSettings(seed=-1)
