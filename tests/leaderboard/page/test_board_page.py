"""The sections of the index page."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from robust_unlearn_bench.leaderboard.page.board_page import board_values
from robust_unlearn_bench.leaderboard.page.site import render
from robust_unlearn_bench.leaderboard.scoring.board import Board, Row
from robust_unlearn_bench.leaderboard.scoring.stats import Number


def chart(board: Board, question: str) -> dict:
    return next(c for c in board_values(board, {})["charts"] if c["question"] == question)


def test_columns_begin_with_the_score_and_its_families(families: Board) -> None:
    keys = [key for key, _, _ in board_values(families, {})["columns"]]
    assert keys == [
        "rank", "name", "score", "says", "holds", "utility", "case", "grade",
        "a:none", "a:gptq4", "a:relearn_const_x5", "a:relearn_retain", "worst",
    ]  # fmt: skip


class Widths(HTMLParser):
    """Number of cells in the head and in each row of the main table, end tags left out as HTML allows."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[int] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self.rows.append(0)
        elif tag in ("td", "th"):
            self.rows[-1] += 1


def test_every_row_has_a_cell_for_every_column(families: Board) -> None:
    text = render([families])["index.html"].decode()
    table = text[text.index('<table class="main">') : text.index("</table>")]
    head, *rest = Widths(table).rows
    assert head == 13
    assert {width for width in rest if width != 1} == {head}


def test_says_against_holds_has_controls_and_intervals(families: Board) -> None:
    found = chart(families, "What does it say, and what does it still hold?")
    assert {line[0] for line in found["rows"]} == {"Silent", "Shallow", "Target", "Retrain"}
    assert len(re.findall(r'class="mk g-control"', found["svg"])) == 2
    assert len(re.findall(r'class="bar', found["svg"])) >= 2


def test_without_likelihoods_that_chart_is_left_out(families: Board) -> None:
    rows = tuple(replace(row, holds=Number(None, why="nothing is measured")) for row in families.rows)
    questions = [c["question"] for c in board_values(replace(families, rows=rows), {})["charts"]]
    assert "What does it say, and what does it still hold?" not in questions
    assert "What does robustness cost?" in questions


def test_work_tells_when_half_is_back_for_rows_and_controls(families: Board, family_row: Callable[[str], Row]) -> None:
    found = chart(families, "How much work brings it back?")
    lines = {line[0]: dict(zip(found["head"], line, strict=True)) for line in found["rows"]}
    assert lines["Target"]["half is back after"] == "0"
    assert 20 < float(lines["Retrain"]["half is back after"]) < 40
    assert 5 < float(lines["Shallow"]["half is back after"]) < 10
    assert lines["Target"]["savings"] == "100.0"
    assert lines["Retrain"]["savings"] == "0.0"
    leading = family_row("Shallow").leading
    assert leading is not None
    assert leading.task.removeprefix("nano_books_") in found["answer"]


def test_charts_of_single_lines_are_gone(families: Board) -> None:
    assert not [c for c in board_values(families, {})["charts"] if "relearn" in c["question"]]


@pytest.mark.parametrize("term", ["Says", "Holds", "Worst case", "Suite version 1", "Largest of many"])
def test_the_page_explains_its_terms(families: Board, term: str) -> None:
    assert f"<dt>{term}</dt>" in render([families])["index.html"].decode()
