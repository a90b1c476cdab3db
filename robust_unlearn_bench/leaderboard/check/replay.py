"""A row measured again by somebody else: do the numbers agree?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...errors import RecordError
from ..record.entry import Entry
from ..record.schema import run_id

__all__ = ["REPEATABILITY", "Agreement", "agreement"]

REPEATABILITY = 0.02
"""Largest difference of a cell between two runs of one model with the same seeds.

`benchmarks/leaderboard_repeatability.py` measures what one machine contributes; another processor adds to it.
"""


@dataclass(frozen=True, slots=True)
class Agreement:
    """One cell, submitted and replayed.

    Attributes:
        cell: "task metric run".
        submitted: value in the record.
        replayed: value measured again.
        same: share of items with the same score to 1e-9, or None without items.
        within: whether the values differ by at most the repeatability.
    """

    cell: str
    submitted: float
    replayed: float
    same: float | None
    within: bool


def agreement(entry: Entry, again: Entry, repeatability: float = REPEATABILITY) -> list[Agreement]:
    """Compare every cell that both have (a replay may cover a part of the suite).

    Raises:
        RecordError: the replay is of other weights or another suite, or shares no cell.
    """
    ours, theirs = entry.record, again.record
    if (ours.suite.name, ours.suite.version) != (theirs.suite.name, theirs.suite.version):
        raise RecordError(
            f"the replay is of suite {theirs.suite.name} {theirs.suite.version}, the record of {ours.suite.name} {ours.suite.version}"
        )
    weights = [{f.sha256 for f in r.model.weights.values()} for r in (ours, theirs)]
    if weights[0] and weights[1] and weights[0] != weights[1]:
        raise RecordError("the replay is of other weights than the record; replay the revision that was submitted")
    values = {(r.task, r.metric, run_id(r.attack, r.seed)): r.value for r in theirs.results}
    found = []
    for result in ours.results:
        key = (result.task, result.metric, run_id(result.attack, result.seed))
        value = values.get(key)
        if value is None or result.value is None:
            continue
        columns = [e.items[key[0]].scores.get((key[2], key[1])) if key[0] in e.items else None for e in (entry, again)]
        found.append(
            Agreement(" ".join(key), result.value, value, _same(columns), abs(value - result.value) <= repeatability)
        )
    if not found:
        raise RecordError("the replay shares no cell with the record; replay one of its tasks under one of its attacks")
    return found


def _same(columns: Sequence[Sequence[object] | None]) -> float | None:
    a, b = columns
    if a is None or b is None or len(a) != len(b) or not a:
        return None
    pairs = zip(a, b, strict=True)
    return sum(x == y or (isinstance(x, float) and isinstance(y, float) and abs(x - y) < 1e-9) for x, y in pairs) / len(
        a
    )
