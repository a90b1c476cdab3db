"""Old scores against new ones, those of scorer 1 included."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from robust_unlearn_bench.errors import RecordError
from robust_unlearn_bench.leaderboard.rescore import rescore
from robust_unlearn_bench.leaderboard.scoring.board import Board


def of_scorer_1(board: Board) -> bytes:
    """A file as scorer 1 wrote it: no families, other keys."""
    rows = [
        {"submission_id": row.entry.id, "display_name": row.record.display_name, "rank": row.rank, "curves": [],
         "score": {"value": 0.25, "low": 0.2, "high": 0.3, "why": None}}
        for row in board.rows
    ]  # fmt: skip
    told = {"suite": board.suite, "suite_version": board.suite_version, "scorer_version": "1.0", "rows": rows}
    return json.dumps({"boards": [told], "paper_reported": []}).encode()


def test_scores_of_scorer_1_are_compared_row_by_row_and_kept(families: Board, tmp_path: Path) -> None:
    path = tmp_path / "nano_books-1.json"
    old = of_scorer_1(families)
    path.write_bytes(old)
    changes = rescore([families], tmp_path)
    assert [change.model for change in changes] == [row.record.display_name for row in families.rows]
    for change, row in zip(changes, families.rows, strict=True):
        assert change.scorer == ("1.0", families.scorer_version)
        assert change.score == (0.25, row.score.value)
        assert change.says == (None, row.says.value)
        assert change.holds == (None, row.holds.value)
    assert (tmp_path / "scorer-1.0" / "nano_books-1.json").read_bytes() == old
    assert rescore([families], tmp_path) == []
    assert (tmp_path / "scorer-1.0" / "nano_books-1.json").read_bytes() == old
    assert rescore([families], tmp_path, since="1.0") == changes


def test_a_version_that_is_not_kept_is_named(families: Board, tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"scorer-0\.9/nano_books-1\.json: no such file"):
        rescore([families], tmp_path, since="0.9")


def test_what_is_gone_is_a_change(families: Board, tmp_path: Path) -> None:
    rescore([families], tmp_path)
    path = tmp_path / "nano_books-1.json"
    told = json.loads(path.read_bytes())
    told["boards"][0]["rows"].append(
        {**told["boards"][0]["rows"][0], "submission_id": "rub1-gone", "display_name": "Gone"}
    )
    path.write_text(json.dumps(told))
    (change,) = rescore([families], tmp_path)
    assert change.model == "Gone"
    assert change.score[1] is None


def test_the_committed_scores_are_of_this_scorer_and_those_of_scorer_1_are_kept(root: Path) -> None:
    from robust_unlearn_bench.leaderboard.scoring.scorer import SCORER_VERSION

    scores = root / "leaderboard" / "scores"
    for path in scores.glob("*.json"):
        (board,) = json.loads(path.read_bytes())["boards"]
        assert board["scorer_version"] == SCORER_VERSION
        assert {"says", "holds", "worst_case", "held", "envelopes"} <= set(board["rows"][0])
    (old,) = json.loads((scores / "scorer-1.0" / "nano_books-1.json").read_bytes())["boards"]
    assert old["scorer_version"] == "1.0"
