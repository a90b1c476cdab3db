"""Differences of both families."""

from __future__ import annotations

import pytest

from robust_unlearn_bench.leaderboard.record.entry import Entry
from robust_unlearn_bench.leaderboard.scoring.compare import compare


def test_both_families_are_compared_and_antisymmetric(family_cast: dict[str, Entry]) -> None:
    anchors = family_cast["target"], family_cast["retrain"]
    forth = compare(family_cast["silent"], family_cast["shallow"], *anchors)
    back = compare(family_cast["shallow"], family_cast["silent"], *anchors)
    assert [d.what for d in forth.families] == ["says", "holds"]
    says, holds = forth.families
    assert (says.a, says.b) == (pytest.approx(forth.a.says.value), pytest.approx(forth.b.says.value))
    assert (holds.a, holds.b) == (pytest.approx(forth.a.holds.value), pytest.approx(forth.b.holds.value))
    assert says.difference.low is not None
    assert says.difference.low > 0
    assert holds.difference.high is not None
    assert holds.difference.high < 0
    assert back.families[0].difference.value == -(says.difference.value or 0.0)


def test_a_family_that_was_not_measured_is_left_out(cast: dict[str, Entry]) -> None:
    done = compare(cast["adam"], cast["hybrid"], cast["target"], cast["retrain"])
    assert [d.what for d in done.families] == ["says"]
