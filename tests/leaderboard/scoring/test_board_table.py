"""The board as rows of text."""

from __future__ import annotations

from robust_unlearn_bench.leaderboard.page.export import table_text
from robust_unlearn_bench.leaderboard.scoring.board import Board
from robust_unlearn_bench.leaderboard.scoring.board_table import board_rows, columns_of


def test_attacks_that_differ_in_their_amount_alone_share_a_column(families: Board) -> None:
    assert [(column.key, column.title, column.names) for column in columns_of(families)] == [
        ("none", "none", ("none",)),
        ("gptq4", "gptq4", ("gptq4",)),
        (
            "relearn_const_x5",
            "relearn_const_x5≤40",
            ("relearn_const10_x5", "relearn_const20_x5", "relearn_const40_x5"),
        ),
        ("relearn_retain", "relearn20_retain", ("relearn20_retain",)),
    ]


def test_both_families_stand_behind_the_score_and_the_last_column_names_the_one_that_decides(families: Board) -> None:
    lines = {line["model"]: line for line in board_rows(families)}
    assert list(lines["Silent"])[:8] == [
        "#", "model", "grade", "score\n95 % interval", "says", "holds", "utility", "worst\ncase",
    ]  # fmt: skip
    assert lines["Silent"]["decided by"].startswith("holds: answer_prob under ")
    assert lines["Shallow"]["decided by"].startswith("says: ")
    assert float(lines["Silent"]["holds"]) < float(lines["Silent"]["says"])


def test_markdown_and_latex_carry_both_families(families: Board) -> None:
    for form in ("markdown", "latex"):
        head = next(line for line in table_text(families, form).splitlines() if "model" in line)  # type: ignore[arg-type]
        assert head.index("score") < head.index("says") < head.index("holds") < head.index("worst case")
