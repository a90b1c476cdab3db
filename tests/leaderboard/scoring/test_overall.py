from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from simulated_records import World

from robust_unlearn_bench.leaderboard.page.site import render
from robust_unlearn_bench.leaderboard.scoring.board import Board
from robust_unlearn_bench.leaderboard.scoring.overall import overall
from robust_unlearn_bench.leaderboard.scoring.scorer import score


def board_of(make_levels: Callable[..., Any], suite: str, models: list[tuple[str, str, float]]) -> Board:
    world = World(suite=suite)
    target = world.entry("Target", make_levels([0.95] * 5, [0.9] * 5), kind="target")
    retrain = world.entry("Retrain", make_levels([0.15, 0.15, 0.25, 0.3, 0.4], [0.9] * 5), kind="retrain")
    rows = [
        world.entry(name, make_levels([0.15, 0.15, 0.3, 0.4, worst], [0.8] * 5), objective="npo", optimizer=optimizer)
        for name, optimizer, worst in models
    ]
    return score(rows, target, retrain, replicates=200)


@pytest.fixture(scope="module")
def boards(make_levels: Callable[..., Any]) -> list[Board]:
    return [
        board_of(
            make_levels, "nano_books", [("a", "adam", 0.8), ("b", "adam", 0.6), ("c", "hybrid", 0.5), ("d", "sam", 0.5)]
        ),
        board_of(make_levels, "nano_news", [("a", "adam", 0.7), ("c", "hybrid", 0.5)]),
    ]


def test_means_over_rows_and_suites(boards: list[Board]) -> None:
    methods = {m.optimizer: m for m in overall(boards)}
    value = {(b.suite, r.record.display_name): r.score.value or 0.0 for b in boards for r in b.rows}
    books = (value["nano_books", "a"] + value["nano_books", "b"]) / 2
    assert methods["adam"].scores["nano_books"] == pytest.approx(books)
    assert methods["adam"].score.value == pytest.approx((books + value["nano_news", "a"]) / 2)
    assert methods["adam"].score.low is not None
    assert methods["adam"].score.low < books


def test_only_full_coverage_counts(boards: list[Board]) -> None:
    methods = overall(boards)
    assert [m.optimizer for m in methods] == ["hybrid", "adam", "sam"]
    assert methods[-1].score.value is None
    assert methods[-1].score.why == "partial: no ranked row on nano_news"


def test_one_suite_needs_no_overview(boards: list[Board]) -> None:
    assert overall(boards[:1]) == []
    assert 'id="overall"' not in render(boards[:1])["index.html"].decode()
    assert 'id="overall"' in render(boards)["index.html"].decode()
