"""A lumbar spine of blocks: heights, levels, signs and alerts that a reader can check by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from marrowmap.data.skeleton import Region
from marrowmap.inference.alerts import find_alerts, with_symptoms
from marrowmap.inference.clinical import ClinicalInput
from marrowmap.inference.collapse import SpineFindings, appearance_of, describe_spine
from marrowmap.inference.findings import Alert, Pattern
from marrowmap.inference.levels import SpineLevels, label_levels, level_of
from marrowmap.inference.spine import SpineColumn, SpineSettings, spine_column

SPACING = (2.5, 2.5, 2.5)
#: 8 bodies of 10 planes (25 mm) with discs of 4 planes; the five lower are lumbar.
BODIES, BODY, PITCH, START = 8, 10, 14, 4
WHOLE = (Region.THORACIC_SPINE, Region.LUMBAR_SPINE)


def spine(**heights: int) -> np.ndarray:
    """Bodies of 40 x 30 mm, arches behind a canal; a body named here is that many planes high."""
    regions = np.zeros((40, 50, START + BODIES * PITCH + 4), dtype=np.uint8)
    names = ["L5", "L4", "L3", "L2", "L1", "T12", "T11", "T10"]
    for number, name in enumerate(names):
        low = START + PITCH * number
        region = Region.LUMBAR_SPINE if name[0] == "L" else Region.THORACIC_SPINE
        height = heights.get(name, BODY)
        bottom = low + (BODY - height) // 2
        regions[12:28, 24:36, bottom : bottom + height] = region
        regions[12:28, 12:17, low : low + BODY] = region
        regions[12:15, 17:24, low : low + BODY] = region
        regions[25:28, 17:24, low : low + BODY] = region
    return regions


def labelled(regions: np.ndarray) -> tuple[SpineColumn, SpineLevels]:
    column = spine_column(regions, SPACING, SpineSettings())
    return column, label_levels(regions, column, WHOLE, SPACING[2])


def described(regions: np.ndarray, lesion: np.ndarray | None = None) -> SpineFindings:
    column, levels = labelled(regions)
    mask = np.zeros(regions.shape, dtype=bool) if lesion is None else lesion
    return describe_spine(regions, mask, column, levels, SPACING)


def block(*sides: tuple[int, int]) -> np.ndarray:
    mask = np.zeros(spine().shape, dtype=bool)
    mask[tuple(slice(*side) for side in sides)] = True
    return mask


def plane_of(name: str) -> int:
    return START + PITCH * ["L5", "L4", "L3", "L2", "L1"].index(name)


def test_five_lumbar_bodies_between_four_discs_are_l5_to_l1() -> None:
    _, levels = labelled(spine())
    for name in ("L5", "L4", "L3", "L2", "L1"):
        level = levels.at(plane_of(name) + 5.0)
        assert level is not None
        assert (level.name, level.is_certain) == (name, True)
    assert levels.warnings == ()


def test_a_lesion_has_the_name_of_the_body_that_holds_most_of_it() -> None:
    _, levels = labelled(spine())
    low = plane_of("L2")
    assert level_of(np.argwhere(block((18, 22), (28, 32), (low, low + 4))), levels, SPACING) == "L2"
    assert level_of(np.array([[20, 30, 0]]), SpineLevels(), SPACING) is None


def test_six_lumbar_bodies_are_flagged_and_no_level_is_sure() -> None:
    regions = spine()
    low = START + PITCH * 5
    above = regions[:, :, low : low + BODY]
    above[above == Region.THORACIC_SPINE] = Region.LUMBAR_SPINE
    _, levels = labelled(regions)
    assert "6 lumbar vertebrae" in levels.warnings[0]
    assert not any(level.is_certain for level in levels.levels)


def test_a_spine_of_which_a_part_was_imaged_has_no_names() -> None:
    regions = spine()
    column = spine_column(regions, SPACING, SpineSettings())
    assert label_levels(regions, column, (), SPACING[2]).levels == ()


def test_whole_bodies_have_not_collapsed() -> None:
    found = described(spine())
    assert found.collapses == ()
    assert set(found.judged) == {"L1", "L2", "L3", "L4", "L5"}
    assert found.canal_contacts == ()


@pytest.mark.parametrize(("planes", "is_collapsed"), [(8, False), (6, True)])
def test_six_of_ten_planes_are_a_collapse_and_eight_are_not(planes: int, *, is_collapsed: bool) -> None:
    found = described(spine(L2=planes))
    assert [collapse.level for collapse in found.collapses] == (["L2"] if is_collapsed else [])


def test_a_collapse_with_its_marrow_left_looks_benign() -> None:
    (collapse,) = described(spine(L2=6)).collapses
    assert collapse.appearance == "benign_looking"
    assert collapse.height_loss == pytest.approx(0.4, abs=0.1)
    assert collapse.malignant_signs == ()
    assert "marrow left in the body" in collapse.benign_signs


def test_signs_of_a_collapse_are_counted() -> None:
    low = plane_of("L2")
    lesion = block((12, 28), (18, 36), (low + 2, low + 8))
    (collapse,) = described(spine(L2=6), lesion).collapses
    assert {"pedicle or arch involved", "mass in the canal", "body replaced by lesion"} <= set(
        collapse.malignant_signs
    )
    assert collapse.appearance == "malignant_looking"
    assert "fluid or vacuum cleft" in collapse.not_assessed


def test_a_lesion_behind_the_body_is_in_the_canal() -> None:
    low = plane_of("L1")
    found = described(spine(), block((18, 22), (19, 23), (low, low + 8)))
    assert found.canal_contacts == ("L1",)
    assert found.pedicle_lesions == ()


def test_a_lesion_in_the_arch_is_not_in_the_canal() -> None:
    low = plane_of("L1")
    found = described(spine(), block((14, 26), (12, 16), (low, low + 8)))
    assert found.pedicle_lesions == ("L1",)
    assert found.canal_contacts == ()


@pytest.mark.parametrize(
    ("malignant", "benign", "appearance"),
    [
        (0, 1, "benign_looking"),
        (0, 2, "benign_looking"),
        (0, 0, "indeterminate"),
        (1, 2, "indeterminate"),
        (1, 0, "indeterminate"),
        (2, 2, "indeterminate"),
        (2, 1, "malignant_looking"),
        (3, 0, "malignant_looking"),
    ],
)
def test_signs_together_give_an_appearance(malignant: int, benign: int, appearance: str) -> None:
    assert appearance_of(malignant, benign) == appearance


def alerts_of(spine_findings: SpineFindings) -> tuple[Alert, ...]:
    pattern = Pattern(label="normal", diffuse_grade="none", evidence={})
    return find_alerts((), pattern, {}, None, spine=spine_findings)


def test_a_lesion_in_the_canal_is_the_first_alert() -> None:
    (first, *_) = alerts_of(SpineFindings(canal_contacts=("T7",)))
    assert (first.code, first.region) == ("possible_cord_compression", "thoracic_spine")
    assert "T7" in first.text


def test_stated_neurological_signs_come_first() -> None:
    alerts = alerts_of(SpineFindings())
    said = with_symptoms(alerts, {"cervical_spine": "absent"}, ClinicalInput(neurological_signs=True))
    assert said[0].code == "neurological_signs"
    assert "cervical spine" in said[0].text
    for unknown_or_no in (None, False):
        assert with_symptoms(alerts, {}, ClinicalInput(neurological_signs=unknown_or_no)) == alerts


def keys_of(node: Any) -> set[str]:
    if isinstance(node, dict):
        return set(node) | {key for value in node.values() for key in keys_of(value)}
    return {key for value in node for key in keys_of(value)} if isinstance(node, list) else set()


def test_no_key_of_the_report_foretells_a_fracture() -> None:
    path = Path(__file__).parents[2] / "inference" / "report" / "report.schema.json"
    words = ("risk", "forecast", "predict", "will_", "future")
    keys = keys_of(json.loads(path.read_text(encoding="utf-8")))
    assert not [key for key in keys if any(word in key for word in words)]
