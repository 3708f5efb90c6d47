"""Contrast beyond physics: what the dial changes and what it must leave alone."""

from __future__ import annotations

import numpy as np
import pytest

from marrowmap.data.errors import SettingsError
from marrowmap.data.simulate.contrast import WildContrast
from marrowmap.data.simulate.labels import Tissue
from marrowmap.data.simulate.tissue import (
    TEXTURE_STRIDE,
    TISSUE_ROWS,
    Material,
    MaterialTable,
    at_field,
    draw_tissues,
    joined,
    table_of,
    with_contrast,
)

MARROW = Material(proton_density=1, t1_ms=970, t2_ms=44, fat_fraction=0.5, adc_um2_per_s=500)
LESION = Material(proton_density=1, t1_ms=970, t2_ms=51, fat_fraction=0.06, adc_um2_per_s=850)


def table() -> MaterialTable:
    return joined(draw_tissues(np.random.default_rng(0), spread=0.0), table_of([MARROW, LESION]))


def wild(wildness: float, seed: int = 0) -> WildContrast:
    return WildContrast(wildness=wildness, rng=np.random.default_rng(seed))


def test_at_0_nothing_changes() -> None:
    physical, lookup = table(), np.array([0.0, 1.0, 3.0], dtype=np.float32)
    assert wild(0.0).strayed(physical) is physical
    assert wild(0.0).bent(lookup) is lookup


def test_the_further_the_dial_the_further_tissues_stray() -> None:
    physical = table()
    used = physical.t1_ms[:TEXTURE_STRIDE] > 0
    spread = [
        np.std(
            np.log(
                wild(w).strayed(physical).t1_ms[:TEXTURE_STRIDE][used] / physical.t1_ms[:TEXTURE_STRIDE][used]
            )
        )
        for w in (0.1, 0.5, 1.0)
    ]
    assert spread == sorted(spread)
    assert spread[0] == pytest.approx(0.06, abs=0.02)


@pytest.mark.parametrize("seed", range(5))
def test_marrow_and_its_lesions_stray_together(seed: int) -> None:
    physical = table()
    strayed = wild(1.0, seed).strayed(physical)
    marrow, lesion = TISSUE_ROWS, TISSUE_ROWS + 1
    for column in ("t1_ms", "t2_ms", "adc_um2_per_s"):
        before, after = getattr(physical, column), getattr(strayed, column)
        assert after[lesion] / after[marrow] == pytest.approx(before[lesion] / before[marrow], rel=1e-4)


def test_texture_levels_of_a_tissue_stray_together_and_air_stays_dark() -> None:
    strayed = wild(1.0).strayed(table())
    liver = strayed.t1_ms[int(Tissue.LIVER) : TISSUE_ROWS : TEXTURE_STRIDE]
    assert liver == pytest.approx(liver[0])
    assert strayed.proton_density[Tissue.AIR] == 0
    assert strayed.proton_density[Tissue.METAL] == 0


@pytest.mark.parametrize("seed", range(5))
def test_a_bent_sequence_keeps_the_order_of_its_tissues(seed: int) -> None:
    lookup = np.array([-2.0, 0.0, 0.5, 1.0, 2.0, 4.0], dtype=np.float32)
    bent = wild(1.0, seed).bent(lookup)
    assert list(np.argsort(bent)) == [0, 1, 2, 3, 4, 5]
    assert bent[1] == 0
    assert bent[-1] == pytest.approx(4.0)


def test_a_dial_beyond_1_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"wildness of 0 \(physical\) to 1 \(wild\), found 2"):
        wild(2.0)


def test_liver_slows_down_more_than_muscle_at_3_t_and_nothing_at_1_5_t() -> None:
    physical = table()
    assert at_field(physical, 1.5) is physical
    high = at_field(physical, 3.0)
    factor = high.t1_ms / physical.t1_ms * 1.08  # signal.py gives 8 % to everything
    assert factor[Tissue.LIVER] == pytest.approx(809 / 586, abs=0.02)
    assert factor[Tissue.MUSCLE] == pytest.approx(898 / 856, abs=0.01)
    assert factor[TISSUE_ROWS] == pytest.approx(1.08)


def test_contrast_agent_shortens_t1_of_lesions_and_hardly_of_normal_marrow_or_fluid() -> None:
    before = table()
    after = with_contrast(before)
    shortened = 1 - after.t1_ms / before.t1_ms
    assert shortened[TISSUE_ROWS + 1] > 0.4
    assert shortened[TISSUE_ROWS] < 0.12
    assert shortened[Tissue.BLADDER] < 0.2
    assert shortened[Tissue.BLOOD] > 0.7
