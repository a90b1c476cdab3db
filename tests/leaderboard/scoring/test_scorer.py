"""Pinned fixtures: what the score must say about models whose truth is known."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest
from simulated_records import World

from robust_unlearn_bench.errors import RecordError
from robust_unlearn_bench.leaderboard.record.entry import Entry
from robust_unlearn_bench.leaderboard.scoring.board import Board, Row
from robust_unlearn_bench.leaderboard.scoring.board_table import board_rows
from robust_unlearn_bench.leaderboard.scoring.scorer import harmonic, score


@pytest.fixture(scope="module")
def board(cast: dict[str, Entry]) -> Board:
    return score(list(cast.values()), cast["target"], cast["retrain"])


def row_of(board: Board, name: str) -> Row:
    return next(row for row in board.rows if row.record.display_name == name)


def test_retrain_scores_one_and_target_zero(board: Board) -> None:
    assert board.retrain.score.value == 1.0
    assert board.target.score.value == 0.0
    assert board.target.worst is not None
    assert board.target.worst.attack in ("none", "gptq4", "bnb_fp4")  # before any training: nothing was forgotten


@pytest.mark.parametrize("name", ["random weights", "always refuse", "repeat token", "uniform logits"])
def test_models_that_know_nothing_score_nothing(board: Board, name: str) -> None:
    row = row_of(board, name)
    assert row.robust_forgetting.value == 1.0
    assert row.score.value is not None
    assert row.score.value < 0.05
    assert row.over_unlearned


def test_the_shallow_hider_forgets_when_clean_and_loses_once_attacked(board: Board) -> None:
    hider, adam, hybrid = (row_of(board, name) for name in ("Refusal adapter", "NPO Adam", "NPO Hybrid"))
    assert hider.leaked(["none"]) == 0.0
    assert hider.score.value is not None
    assert adam.score.value is not None
    assert hybrid.score.value is not None
    assert hider.score.value < adam.score.value < hybrid.score.value
    assert (hybrid.rank, adam.rank, hider.rank) == (1, 2, 3)


def test_leakage_uses_the_retrain_model_under_the_same_attack(board: Board, cast: dict[str, Entry]) -> None:
    row = row_of(board, "NPO Adam")
    cell = next(f for f in row.forgetting if f.cell.attack == "relearn50" and f.cell.task.endswith("verbmem"))
    value = {
        name: _value(cast[name], cell.cell.task, attack)
        for name, attack in (("adam", "relearn50"), ("retrain", "relearn50"), ("target", "none"))
    }
    expected = (value["adam"] - value["retrain"]) / (value["target"] - value["retrain"])
    assert cell.leakage.value == pytest.approx(expected, abs=1e-12)


def test_score_is_the_harmonic_mean_of_forgetting_and_utility(board: Board) -> None:
    row = row_of(board, "NPO Hybrid")
    kept = min(u.share.value for u in row.utilities if u.counts and u.share.value is not None)
    assert {u.cell.attack for u in row.utilities if u.counts} == {"none", "gptq4"}
    assert row.says.value is not None
    assert row.holds.value is None  # these records have no such metric
    assert row.score.value == pytest.approx(2 * row.says.value * kept / (row.says.value + kept), abs=1e-12)


def test_the_plain_worst_case_is_that_of_the_largest_leakage(board: Board) -> None:
    row = row_of(board, "NPO Hybrid")
    leak = max(f.leakage.value for f in row.forgetting if f.identifiable and f.leakage.value is not None)
    assert row.worst_case.value == pytest.approx(1 - leak, abs=1e-12)


def test_adding_a_row_changes_no_other_row(cast: dict[str, Entry]) -> None:
    few = score([cast["adam"]], cast["target"], cast["retrain"])
    many = score(list(cast.values()), cast["target"], cast["retrain"])
    for name in ("NPO Adam", "Target", "Retrain"):
        one, other = row_of(few, name), row_of(many, name)
        assert (one.score, one.utility, one.robust_forgetting) == (other.score, other.utility, other.robust_forgetting)
        assert one.forgetting == other.forgetting


def test_order_of_input_does_not_matter(cast: dict[str, Entry]) -> None:
    entries = list(cast.values())
    forward = score(entries, cast["target"], cast["retrain"], replicates=200)
    backward = score(entries[::-1], cast["target"], cast["retrain"], replicates=200)
    assert [row.entry.id for row in forward.rows] == [row.entry.id for row in backward.rows]
    assert [row.rank for row in forward.rows] == [row.rank for row in backward.rows]


@pytest.mark.parametrize("attack", [0, 1, 4])
def test_more_leakage_never_raises_a_score(world: World, cast: dict[str, Entry], make_levels, attack: int) -> None:
    scores = []
    for level in np.linspace(0.1, 0.95, 8):
        forget = [0.1, 0.1, 0.2, 0.25, 0.3]
        forget[attack] = float(level)
        entry = world.entry("same noise", make_levels(forget, [0.8] * 5))
        board = score([entry], cast["target"], cast["retrain"], replicates=50)
        scores.append(row_of(board, "same noise").score.value)
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > scores[-1]


def test_a_missing_cell_makes_the_row_partial_and_unranked(world: World, cast: dict[str, Entry], make_levels) -> None:
    some = {a: leaf for a, leaf in make_levels([0.1] * 5, [0.8] * 5).items() if a != "relearn50"}
    row = row_of(score([world.entry("part", some)], cast["target"], cast["retrain"], replicates=50), "part")
    assert row.score.value is None
    assert row.rank is None
    assert len(row.missing) == 3
    assert row.unranked == "partial: 3 cells missing"
    assert row.leaked(["none"]) is not None


def test_cells_on_which_the_controls_agree_count_for_nobody(world: World, make_levels) -> None:
    same = [0.9, 0.85, 0.9, 0.9, 0.9]
    target = world.entry("Target", make_levels([0.95] * 5, same), kind="target")
    retrain = world.entry("Retrain", make_levels([0.15, 0.15, 0.25, 0.3, 0.94], same), kind="retrain")
    model = world.entry("model", make_levels([0.15, 0.15, 0.25, 0.3, 0.2], same))
    board = score([model], target, retrain)
    assert {cell.attack for cell in board.not_identifiable} == {"relearn50"}
    row = row_of(board, "model")
    assert all(not f.identifiable for f in row.forgetting if f.cell.attack == "relearn50")
    assert row.worst is None or row.worst.attack != "relearn50"
    # with the retrain model's own relearning as the control, a model that relearns less is no worse for it
    assert row.score.value is not None
    assert row.score.value > 0.8


def test_too_few_clusters_rank_nobody(make_levels) -> None:
    small = World(clusters=2, documents=20)
    target = small.entry("T", make_levels([0.95] * 5, [0.9] * 5), kind="target")
    retrain = small.entry("G", make_levels([0.15] * 5, [0.9] * 5), kind="retrain")
    model = small.entry("M", make_levels([0.3] * 5, [0.8] * 5))
    row = row_of(score([model], target, retrain, replicates=100), "M")
    assert row.rank is None
    assert "2 clusters" in (row.unranked or "")


def test_the_worst_attack_seed_counts(world: World, cast: dict[str, Entry], make_levels) -> None:
    """A mean over seeds let lucky ones pay for the others."""
    entry = world.entry("three seeds", make_levels([0.1, 0.1, 0.3, 0.5, 0.6], [0.8] * 5), seeds=(0, 1, 2))
    row = row_of(score([entry], cast["target"], cast["retrain"]), "three seeds")
    for cell in (row.forgetting, row.utilities):
        for part in cell:
            if part.cell.attack == "relearn50":
                values = [r.value for r in entry.record.results if (r.attack, r.task) == ("relearn50", part.cell.task)]
                assert len(set(values)) == 3
                assert part.value == (max(values) if cell is row.forgetting else min(values))
    bare = row_of(score([Entry(entry.record, {})], cast["target"], cast["retrain"]), "three seeds")
    assert [f.value for f in bare.forgetting] == [pytest.approx(f.value) for f in row.forgetting]


def test_anchors_must_be_two_models_with_items(cast: dict[str, Entry]) -> None:
    with pytest.raises(RecordError, match="same record"):
        score([], cast["target"], cast["target"])
    with pytest.raises(RecordError, match="has no items"):
        score([], Entry(cast["target"].record, {}), cast["retrain"])


def test_mixed_suites_are_refused(cast: dict[str, Entry], make_levels) -> None:
    other = World(suite="nano_news").entry("elsewhere", make_levels([0.1] * 5, [0.8] * 5))
    with pytest.raises(RecordError, match="nano_news 1"):
        score([other], cast["target"], cast["retrain"])


def test_a_record_without_items_is_shown_without_interval_and_not_ranked(cast: dict[str, Entry]) -> None:
    bare = Entry(cast["adam"].record, {})
    row = row_of(score([bare], cast["target"], cast["retrain"]), "NPO Adam")
    full = row_of(score([cast["adam"]], cast["target"], cast["retrain"]), "NPO Adam")
    assert row.score.value == pytest.approx(full.score.value, abs=0.05)  # without items nothing is cross-fitted
    assert row.score.low is None
    assert row.score.why == "no item file"
    assert row.unranked == "no item file"


@pytest.mark.parametrize(("a", "b", "expected"), [(1.0, 1.0, 1.0), (0.0, 1.0, 0.0), (0.0, 0.0, 0.0), (0.5, 1.0, 2 / 3)])
def test_harmonic(a: float, b: float, expected: float) -> None:
    assert float(harmonic(a, b)) == pytest.approx(expected)


def test_table_names_the_attack_that_decides(board: Board) -> None:
    line = next(line for line in board_rows(board) if line["model"] == "NPO Adam")
    assert "under relearn" in line["decided by"]
    assert line["relearn≤50\nforgot/useful"].split(" / ")[0] == line["worst\ncase"]
    assert line["holds"] == "–"
    assert line["none\nforgot/useful"].startswith("100.0 / ")


def _value(entry: Entry, task: str, attack: str) -> float:
    value = next(r.value for r in entry.record.results if r.task == task and r.attack == attack)
    assert value is not None
    return value


@pytest.mark.slow
@pytest.mark.parametrize(
    ("leak", "keep"), [([0.05, 0.1, 0.2, 0.35, 0.55], 0.8), ([0.4] * 5, 0.8), ([0.0, 0.0, 0.02, 0.05, 0.08], 0.95)]
)
def test_intervals_cover_the_truth(root: Path, leak: list[float], keep: float) -> None:
    """One attack stands out, all attacks equal, nearly retrained: at least .90 of 60 worlds (nominal .95, SE .028)."""
    namespace = runpy.run_path(str(root / "benchmarks" / "leaderboard_coverage.py"))
    covered, _, error = namespace["coverage"](leak, keep, worlds=60)
    assert 0.90 <= covered
    assert abs(error) < 0.06
