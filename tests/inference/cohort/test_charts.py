"""Bars and bins of the cohort's page."""

from __future__ import annotations

from marrowmap.inference.cohort.charts import bars, binned, shares


def test_a_value_on_an_edge_lies_in_the_bin_above() -> None:
    assert binned([0, 1, 4, 5, 20, 21, 99], [0, 1, 5, 21]) == [1, 2, 2, 2]


def test_the_longest_bar_takes_all_the_room_and_half_as_many_take_half() -> None:
    drawn = bars({"a": 10, "b": 5, "c": 0})
    assert 'width="220.0"' in drawn
    assert 'width="110.0"' in drawn
    assert 'width="0.0"' in drawn


def test_no_count_draws_nothing() -> None:
    assert bars({}) == ""
    assert shares({}) == ""


def test_unknown_is_the_last_share() -> None:
    drawn = shares({"unknown": 1, "I": 3})
    assert drawn.index("I 3") < drawn.index("unknown 1")
    assert 'width="345.0"' in drawn


def test_a_label_cannot_become_markup() -> None:
    assert "<b>" not in bars({"<b>": 1}) + shares({"<b>": 1})
