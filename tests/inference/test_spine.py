from __future__ import annotations

import numpy as np
import pytest

from marrowmap.data.exam import Sequence
from marrowmap.data.grid import Grid
from marrowmap.data.model_input import CHANNELS, ModelInput
from marrowmap.data.skeleton import Region
from marrowmap.inference.muscle import MuscleReference, muscle_reference
from marrowmap.inference.spine import SpineColumn, SpineSettings, spine_column
from marrowmap.inference.vertebrae import measure_vertebrae

SHAPE = (40, 40, 80)
SPACING = (2.5, 2.5, 2.5)
MARROW, DISC, MUSCLE = 0, 1, 2


def spine(*, bodies: int = 4) -> np.ndarray:
    """Lumbar bodies of 40 x 30 x 25 mm with gaps of 10 mm, arches behind them all along."""
    regions = np.zeros(SHAPE, dtype=np.uint8)
    for body in range(bodies):
        regions[12:28, 20:32, 5 + 14 * body : 15 + 14 * body] = Region.LUMBAR_SPINE
    regions[18:22, 8:12, 5 : 14 * bodies] = Region.LUMBAR_SPINE
    return regions


def model_input(
    regions: np.ndarray,
    *,
    t1: tuple[float, float, float] = (0.6, 0.4, 0.4),
    missing: tuple[Sequence, ...] = (),
) -> ModelInput:
    """Marrow has ADC 400 and fat 0.5, muscle ADC 1500 and no fat, gaps are as muscle but with `t1[DISC]`."""
    bone = regions > 0
    gap = np.zeros(SHAPE, dtype=bool)
    gap[12:28, 20:32, 5:57] = True
    gap &= ~bone
    values = {
        Sequence.DWI_HIGH: np.where(bone, 0.5, 0.15),
        Sequence.ADC: np.where(bone, 0.4, 1.5),
        Sequence.T1: np.where(bone, t1[MARROW], np.where(gap, t1[DISC], t1[MUSCLE])),
        Sequence.STIR: np.where(bone, 0.3, 0.3),
        Sequence.FAT_FRACTION: np.where(bone, 0.5, 0.05),
    }
    array = np.zeros((len(CHANNELS), *SHAPE), dtype=np.float32)
    for index, sequence in enumerate(CHANNELS):
        if sequence not in missing:
            array[index] = values[sequence]
    return ModelInput(
        array=array,
        grid=Grid(shape=SHAPE, affine_ras_mm=np.diag([*SPACING, 1.0])),
        present=tuple(sequence not in missing for sequence in CHANNELS),
        body=np.ones(SHAPE, dtype=bool),
        references={},
    )


def column_of(regions: np.ndarray) -> SpineColumn:
    return spine_column(regions, SPACING, SpineSettings())


def test_four_bodies_with_three_discs_between_them() -> None:
    column = column_of(spine())
    assert [(body.start, body.stop) for body in column.bodies] == [(5, 15), (19, 29), (33, 43), (47, 57)]
    assert [(disc.start, disc.stop) for disc in column.discs] == [(15, 19), (29, 33), (43, 47)]


def test_the_column_runs_through_the_bodies_not_the_arches() -> None:
    column = column_of(spine())
    i, j, _ = np.nonzero(column.core)
    assert (i.mean(), j.mean()) == pytest.approx((19.5, 25.5), abs=0.5)


def test_a_missing_vertebra_leaves_a_gap_that_is_no_disc() -> None:
    regions = spine()
    regions[:, 20:32, 19:29] = 0
    column = column_of(regions)
    assert len(column.bodies) == 3
    assert [(disc.start, disc.stop) for disc in column.discs] == [(43, 47)]


def test_without_a_spine_there_is_no_column() -> None:
    column = column_of(np.zeros(SHAPE, dtype=np.uint8))
    assert (column.bodies, column.discs) == ((), ())
    assert not column.core.any()


def test_vertebrae_are_measured_against_disc_and_muscle() -> None:
    regions = spine()
    exam = model_input(regions)
    muscle = muscle_reference(exam, regions)
    found = measure_vertebrae(column_of(regions), exam, regions, np.zeros(SHAPE, dtype=bool), muscle)
    assert len(found) == 4
    assert {vertebra.region for vertebra in found} == {"lumbar_spine"}
    for vertebra in found:
        assert vertebra.t1_to_disc == pytest.approx(1.5)
        assert vertebra.t1_to_muscle == pytest.approx(1.5)
        assert vertebra.adc_um2_per_s == pytest.approx(400.0)
        assert vertebra.fat_fraction == pytest.approx(0.5)
        assert vertebra.dwi_to_muscle == pytest.approx(0.5 / 0.15)
        assert vertebra.lesion_share == 0.0


def test_dark_end_plates_do_not_darken_a_disc() -> None:
    regions = spine()
    exam = model_input(regions)
    t1 = exam.array[CHANNELS.index(Sequence.T1)]
    for k in (15, 18, 29, 32, 43, 46):  # the outer planes of the three discs
        t1[:, :, k] = 0.1
    found = measure_vertebrae(
        column_of(regions), exam, regions, np.zeros(SHAPE, dtype=bool), MuscleReference()
    )
    assert [vertebra.t1_to_disc for vertebra in found] == pytest.approx([1.5] * 4)


def test_lesions_are_left_out_of_the_marrow_until_they_fill_it() -> None:
    regions = spine()
    exam = model_input(regions)
    lesion = np.zeros(SHAPE, dtype=bool)
    lesion[12:20, 20:32, 5:15] = True  # the right half of the lowest body
    exam.array[CHANNELS.index(Sequence.ADC)][lesion] = 0.9
    found = measure_vertebrae(column_of(regions), exam, regions, lesion, MuscleReference())
    assert found[0].adc_um2_per_s == pytest.approx(400.0)
    assert found[0].lesion_share == pytest.approx(0.5, abs=0.05)
    lesion[12:28, 20:32, 5:15] = True
    exam.array[CHANNELS.index(Sequence.ADC)][lesion] = 0.9
    found = measure_vertebrae(column_of(regions), exam, regions, lesion, MuscleReference())
    assert (found[0].adc_um2_per_s, found[0].lesion_share) == pytest.approx((900.0, 1.0))


def test_without_t1_and_adc_what_depends_on_them_is_unknown() -> None:
    regions = spine()
    exam = model_input(regions, missing=(Sequence.T1, Sequence.ADC))
    muscle = muscle_reference(exam, regions)
    assert muscle == MuscleReference(dwi_high=None, t1=None)
    vertebra = measure_vertebrae(column_of(regions), exam, regions, np.zeros(SHAPE, dtype=bool), muscle)[0]
    assert (vertebra.t1_to_disc, vertebra.adc_um2_per_s, vertebra.dwi_to_muscle) == (None, None, None)
    assert vertebra.fat_fraction == pytest.approx(0.5)


def test_muscle_is_found_around_the_spine() -> None:
    regions = spine()
    found = muscle_reference(model_input(regions), regions)
    assert (found.dwi_high, found.t1) == pytest.approx((0.15, 0.4))


def test_fat_around_the_spine_is_not_taken_for_muscle() -> None:
    regions = spine()
    exam = model_input(regions)
    exam.array[CHANNELS.index(Sequence.FAT_FRACTION)] = 0.9
    assert muscle_reference(exam, regions).t1 is None
