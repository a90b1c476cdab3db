"""The sections of the index page: a board with its table and charts, and the published tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..record.grades import grade_of
from ..record.reported import Reported
from ..scoring.board import Board
from ..scoring.board_table import percent
from ..scoring.likeness import Likeness
from .charts.canvas import GLYPHS
from .charts.curves import curves
from .charts.dumbbell import Change, dumbbell
from .charts.marks import mark_of
from .charts.scatter import scatter
from .charts.strips import strips
from .row_view import groups, interval_text, k50_unit

__all__ = ["board_key", "board_values", "reported_values"]

_PLOTTED = 40
"""Rows in charts and their data tables, best first; the table has all of them."""


def board_key(board: Board) -> str:
    """Fragment identifier of the section of a board."""
    return f"s-{board.suite}"


def board_values(board: Board, alike: Mapping[str, Sequence[Likeness]]) -> dict[str, Any]:
    """Values of a board that the template `index.html.j2` shows.

    Args:
        board: the board.
        alike: submission id → what the row has in common with others.
    """
    relearns = any(attack.line for attack in board.attacks)
    columns = [("rank", "#", "n"), ("name", "model", ""), ("score", "score", "n"), ("grade", "optimizer grade", "")]
    columns += [("forgetting", "robust forgetting", "n"), ("utility", "utility", "n")]
    columns += [(f"a:{attack.name}", attack.name, "h") for attack in board.attacks]
    columns += [("k50", "k50", "n")] if relearns else []
    columns += [("worst", "decided by", "")]
    return {
        "board": board,
        "key": board_key(board),
        "models": len(board.rows),
        "columns": columns,
        "groups": groups(board, alike),
        "relearns": relearns,
        "unit": k50_unit(board),
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
    found: list[dict[str, Any]] = [
        {
            "question": "Does a lower optimizer grade forget more robustly?",
            "answer": "Each marker is a model; grades from most to least information about the loss.",
            "svg": strips(marks, f"{board_key(board)}-strips"),
            "head": ["model", "grade", "score", "95 % interval"],
            "rows": [[m.name, m.grade, percent(m.row.score.value), interval_text(m.row.score)] for m in methods],
        },
        {
            "question": "What does robustness cost?",
            "answer": "Upper right is best; crosses are controls.",
            "svg": scatter(marks, f"{board_key(board)}-scatter") if methods else "",
            "head": ["model", "robust forgetting", "95 % interval", "utility", "95 % interval"],
            "rows": [
                [m.name, percent(f.value), interval_text(f), percent(u.value), interval_text(u)]
                for m in marks
                for f, u in [(m.row.robust_forgetting, m.row.utility)]
            ],
        },
    ]
    for line, unit in {attack.line: attack.unit for attack in board.attacks if attack.line}.items():
        amounts = sorted({k for m in methods for c in m.row.curves if c.line == line for k, _ in c.points})
        found.append(
            {
                "question": "How fast does it relearn?"
                if line == "relearn"
                else f"How fast does it return under {line}?",
                "answer": "The lower and flatter, the better.",
                "svg": curves(marks, line, f"{board_key(board)}-{line}"),
                "head": ["model", *(f"{k} {unit}" for k in amounts), "k50", "area"],
                "rows": [
                    [
                        m.name,
                        *(percent(dict(c.points).get(k)) for k in amounts),
                        "never" if c.k50 is None else f"{c.k50:.0f}",
                        f"{c.area:.2f}",
                    ]
                    for m in methods
                    for c in m.row.curves
                    if c.line == line
                ],
            }
        )
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
                "svg": dumbbell(changes, f"{board_key(board)}-quant", "leakage", "gptq4"),
                "head": ["model", "grade", "before", "after"],
                "rows": [[c.name, c.grade, percent(c.before), percent(c.after)] for c in changes],
            }
        )
    return [chart for chart in found if chart["svg"]]


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
