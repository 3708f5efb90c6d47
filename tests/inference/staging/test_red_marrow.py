from __future__ import annotations

import pytest

from marrowmap.data.skeleton import Region
from marrowmap.inference.staging.counting import SPINE_AND_PELVIS
from marrowmap.inference.staging.red_marrow import red_marrow_seen, red_marrow_share


def test_the_whole_skeleton_holds_all_red_marrow() -> None:
    assert red_marrow_share(list(Region)) == pytest.approx(1.0)
    assert red_marrow_seen({region.key: "complete" for region in Region}) == pytest.approx(1.0)


def test_spine_sacrum_and_pelvis_hold_sixty_per_cent() -> None:
    # 3.9 + 16.1 + 12.3 + 27.4 of 99.9
    assert red_marrow_share(SPINE_AND_PELVIS) == pytest.approx(0.597, abs=0.001)


def test_a_region_seen_in_part_counts_half_and_one_not_named_nothing() -> None:
    assert red_marrow_seen({"lumbar_spine": "partial"}) == pytest.approx(12.3 / 2 / 99.9)
    assert red_marrow_seen({}) == 0.0
    assert red_marrow_seen({"skull": "absent"}) == 0.0
