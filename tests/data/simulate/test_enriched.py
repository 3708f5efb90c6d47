"""Exams to learn from: many lesions in most, some with none, and the same ones every time."""

from collections import Counter

import pytest

from marrowmap.data.simulate.enriched import PATTERN_SHARE, enriched_recipe


def test_a_seed_always_gives_the_same_recipe() -> None:
    assert enriched_recipe(7) == enriched_recipe(7)


def test_most_exams_to_learn_from_have_many_lesions_and_every_pattern_has_its_share() -> None:
    recipes = [enriched_recipe(seed) for seed in range(2000)]
    counts = Counter(pattern for pattern, _ in recipes)
    for pattern, share in PATTERN_SHARE.items():
        assert counts[pattern] / 2000 == pytest.approx(share, abs=0.04)
    assert {settings.disease.focal_count for _, settings in recipes} == {(10, 60)}


def test_some_exams_have_contrasts_of_other_scanners() -> None:
    wildness = [enriched_recipe(seed)[1].wildness for seed in range(2000)]
    assert sum(dial > 0 for dial in wildness) / 2000 == pytest.approx(0.3, abs=0.04)
    assert max(wildness) <= 0.4
