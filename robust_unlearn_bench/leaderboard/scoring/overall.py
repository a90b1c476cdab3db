"""Methods over all suites: the mean of their scores, ranked only where every suite is covered.

A record is one model on one suite, so models are joined by what made them: objective and optimizer. A method with several
ranked rows on a suite counts with their mean: the best of them would reward many tries.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .board import Board, Row
from .stats import Number, number

__all__ = ["Method", "overall"]


@dataclass(frozen=True, slots=True)
class Method:
    """An objective with an optimizer.

    Attributes:
        objective: registry name of the objective.
        optimizer: registry name of the optimizer.
        scores: suite → mean score of its ranked rows there; suites without one are absent.
        score: mean over all suites; undefined while one is missing.
    """

    objective: str
    optimizer: str
    scores: dict[str, float]
    score: Number


def overall(boards: Sequence[Board]) -> list[Method]:
    """Every method with a ranked row, complete ones first, best first; nothing for fewer than two suites.

    Args:
        boards: the boards, the newest version of a suite before older ones, which do not count.
    """
    boards = list({board.suite: board for board in reversed(boards)}.values())[::-1]
    if len(boards) < 2:
        return []
    found: dict[tuple[str, str], dict[str, list[Row]]] = {}
    for board in boards:
        for row in board.rows:
            made = row.record.method
            if row.rank is not None and made.objective and made.optimizer:
                found.setdefault((made.objective, made.optimizer), {}).setdefault(board.suite, []).append(row)
    methods = [_method(*key, rows, [board.suite for board in boards]) for key, rows in found.items()]
    return sorted(
        methods,
        key=lambda m: (m.score.value is None, -(m.score.value or 0.0), -len(m.scores), m.objective, m.optimizer),
    )


def _method(objective: str, optimizer: str, rows: dict[str, list[Row]], suites: Sequence[str]) -> Method:
    scores = {
        suite: float(np.mean([row.score.value for row in rows[suite] if row.score.value is not None]))
        for suite in suites
        if suite in rows
    }
    lacking = [suite for suite in suites if suite not in rows]
    if lacking:
        return Method(objective, optimizer, scores, Number(None, why=f"partial: no ranked row on {', '.join(lacking)}"))
    draws = [np.mean([row.replicates for row in rows[suite] if row.replicates is not None], axis=0) for suite in suites]
    whole = number(float(np.mean(list(scores.values()))), np.mean(draws, axis=0))
    return Method(objective, optimizer, scores, whole)
