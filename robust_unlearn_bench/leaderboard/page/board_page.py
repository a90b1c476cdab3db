"""The sections of the index page: a board with its table and charts, and the published tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ..record.grades import grade_of
from ..record.reported import Reported
from ..scoring.board import Board
from ..scoring.board_table import columns_of, percent
from ..scoring.families import Envelope
from ..scoring.likeness import Likeness
from ..scoring.stats import Number
from .charts.canvas import GLYPHS
from .charts.dumbbell import Change, dumbbell
from .charts.envelopes import envelope_chart, half_text, shares
from .charts.marks import Mark, mark_of
from .charts.scatter import COST, FAMILIES, scatter
from .charts.strips import strips
from .row_view import groups, interval_text

__all__ = ["board_key", "board_values", "reported_values"]

_PLOTTED = 40
"""Rows in charts and their data tables, best first; the table has all of them."""


def board_key(board: Board) -> str:
    """Fragment identifier of the section of a board."""
    return f"s-{board.suite}-{board.suite_version}"


def board_values(board: Board, alike: Mapping[str, Sequence[Likeness]]) -> dict[str, Any]:
    """Values of a board that the template `index.html.j2` shows.

    Args:
        board: the board.
        alike: submission id → what the row has in common with others.
    """
    columns = [("rank", "#", "n"), ("name", "model", ""), ("score", "score", "n")]
    columns += [("says", "says", "n"), ("holds", "holds", "n"), ("utility", "utility", "n")]
    columns += [("case", "worst case", "n"), ("grade", "optimizer grade", "")]
    columns += [(f"a:{column.key}", column.title, "h") for column in columns_of(board)]
    columns += [("worst", "decided by", "")]
    return {
        "board": board,
        "key": board_key(board),
        "models": len(board.rows),
        "columns": columns,
        "groups": groups(board, alike),
        "skipped": [
            f"{c.task.removeprefix(board.suite + '_')} {c.metric} under {c.attack}" for c in board.not_identifiable
        ],
        "charts": _charts(board),
    }


def _charts(board: Board) -> list[dict[str, Any]]:
    """The questions a reader comes with, each with a chart and its numbers."""
    marks = [mark_of(row) for row in board.rows]
    marks = [m for m in marks if m.grade][:_PLOTTED] + [m for m in marks if not m.grade]
    methods = [m for m in marks if m.grade]
    key = board_key(board)
    found: list[dict[str, Any]] = [
        {
            "question": "What does it say, and what does it still hold?",
            "answer": "Upper right is best. At the lower right, a model no longer says the text and still holds it.",
            "svg": scatter(marks, f"{key}-families", FAMILIES),
            "head": ["model", "says", "95 % interval", "holds", "95 % interval"],
            "rows": [_pair(m, m.row.says, m.row.holds) for m in marks],
        },
        _work(board, marks),
        {
            "question": "What does robustness cost?",
            "answer": "Upper right is best; crosses are controls.",
            "svg": scatter(marks, f"{key}-scatter", COST),
            "head": ["model", "robust forgetting", "95 % interval", "utility", "95 % interval"],
            "rows": [_pair(m, m.row.robust_forgetting, m.row.utility) for m in marks],
        },
        {
            "question": "Does a lower optimizer grade forget more robustly?",
            "answer": "Each marker is a model; grades from most to least information about the loss.",
            "svg": strips(marks, f"{key}-strips"),
            "head": ["model", "grade", "score", "95 % interval"],
            "rows": [[m.name, m.grade, percent(m.row.score.value), interval_text(m.row.score)] for m in methods],
        },
    ]
    if any(attack.name == "gptq4" for attack in board.attacks):
        changes = [
            Change(m.name, m.grade, before, after)
            for m in methods
            for before, after in [(m.row.leaked(["none"]), m.row.leaked(["gptq4"]))]
            if before is not None and after is not None
        ]
        found.append(
            {
                "question": "What does quantisation bring back?",
                "answer": "Leakage before (hollow) and after (full) 4-bit GPTQ, by optimizer grade.",
                "svg": dumbbell(changes, f"{key}-quant", "leakage", "gptq4"),
                "head": ["model", "grade", "before", "after"],
                "rows": [[c.name, c.grade, percent(c.before), percent(c.after)] for c in changes],
            }
        )
    return [chart for chart in found if chart["svg"]]


def _pair(m: Mark, one: Number, other: Number) -> list[str]:
    return [m.name, percent(one.value), interval_text(one), percent(other.value), interval_text(other)]


def _work(board: Board, marks: Sequence[Mark]) -> dict[str, Any]:
    """How much work brings it back: the envelopes of the metric on which most models leave most behind."""
    known = [(m, e) for m in marks for e in m.row.envelopes if e.attacker == "with the text" and e.identifiable]
    best: dict[Mark, Envelope] = {}
    for m, e in known:
        if m.grade and (m not in best or (e.savings.value or 0.0) > (best[m].savings.value or 0.0)):
            best[m] = e
    if not best:
        return {"svg": ""}
    votes = Counter((e.task, e.metric) for e in best.values())
    task, metric = max(votes, key=lambda cell: votes[cell])
    shown = [(m, e) for m, e in known if (e.task, e.metric) == (task, metric)]
    drawn = [(m, e) for m, e in shown if m.grade]
    budgets = sorted({k for _, e in shown for k in e.budgets})
    short = task.removeprefix(board.suite + "_")
    return {
        "question": "How much work brings it back?",
        "answer": f"The highest {short} that any attack with the text reaches within a number of steps. The closer to the "
        "retrain model, which has to learn it anew, the better.",
        "svg": envelope_chart(drawn, f"{board_key(board)}-work", short),
        "head": ["model", "savings", "95 % interval", "half is back after", *(f"{k} steps" for k in budgets)],
        "rows": [
            [
                m.name,
                percent(e.savings.value),
                interval_text(e.savings),
                half_text(e, e.row),
                *(percent(dict(zip(e.budgets, shares(e, e.row), strict=True)).get(k)) for k in budgets),
            ]
            for m, e in shown
        ],
    }


def reported_values(table: Reported) -> dict[str, Any]:
    """Values of a table that the template `published.html.j2` shows."""
    columns = [
        (m, a) for m in table.metrics for a in table.attacks if any(a in r.values.get(m, {}) for r in table.rows)
    ]
    grades = [grade_of(row.optimizer) for row in table.rows]
    names = [" · ".join(part for part in (row.objective, row.label) if part) for row in table.rows]
    charts = []
    for metric, spec in table.metrics.items():
        changes = [
            Change(name, grade, row.values[metric]["none"], row.values[metric]["gptq4"])
            for name, grade, row in zip(names, grades, table.rows, strict=True)
            if {"none", "gptq4"} <= set(row.values.get(metric, {}))
        ]
        if spec.role == "forget" and changes:
            charts.append((spec.title, dumbbell(changes, f"{table.name}-{metric}", spec.title, "gptq4")))
    return {
        "table": table,
        "head": [table.metrics[m].title + ("" if a == "none" else f", {a}") for m, a in columns],
        "rows": [
            {
                "name": name,
                "grade": grade,
                "glyph": GLYPHS[grade] if grade else "",
                "cells": [percent(row.values.get(m, {}).get(a)) for m, a in columns],
            }
            for name, grade, row in zip(names, grades, table.rows, strict=True)
        ],
        "charts": charts,
    }
