"""What decides a row."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from robust_unlearn_bench.leaderboard.scoring.board import Board, Row
from robust_unlearn_bench.leaderboard.scoring.families import Envelope, Held


@pytest.mark.parametrize(("name", "family", "kind"), [("Silent", "holds", Held), ("Shallow", "says", Envelope)])
def test_the_family_and_the_cell_that_decide(
    family_row: Callable[[str], Row], name: str, family: str, kind: type
) -> None:
    row = family_row(name)
    assert row.decides == family
    assert getattr(row, family).value == row.robust_forgetting.value
    assert isinstance(row.deciding, kind)


def test_a_deciding_envelope_is_the_one_whose_cell_the_scorer_names(family_row: Callable[[str], Row]) -> None:
    row = family_row("Shallow")
    found = row.deciding
    assert isinstance(found, Envelope)
    assert row.worst == (found.task, found.metric, found.attacks[found.telling])
    assert found.savings.value == max(e.savings.value or 0.0 for e in row.envelopes if e.identifiable)


def test_where_nothing_leaks_nothing_decides(families: Board) -> None:
    assert families.retrain.decides is None
    assert families.retrain.deciding is None


def test_leakage_under_an_attack_is_not_clipped(family_row: Callable[[str], Row]) -> None:
    row = family_row("Silent")
    leaks = [f.leakage.value for f in row.forgetting if f.cell.attack == "none"]
    assert row.leakage_under("none") == max(leaks)
    assert row.leakage_under("unheard of") is None
