"""A row measured again by somebody else: do the numbers agree, all of them, and without leaning to one side?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ...errors import RecordError
from ..record.entry import Entry
from ..record.schema import MetricSpec, Record, run_id
from ..scoring.measure import SCORED_ROLES

__all__ = ["BIASED", "REPEATABILITY", "Agreement", "Replay", "agreement", "replayed"]

REPEATABILITY = 0.02
"""Largest difference of a cell between two runs of one model with the same seeds.

`benchmarks/leaderboard_repeatability.py` measures what one machine contributes; another processor adds to it.
"""

BIASED = 0.01
"""A chance below this that a fair coin favours the submitter as often as the differences do is a bias."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """One cell, submitted and measured again.

    Attributes:
        cell: "task metric run".
        submitted: value in the record.
        replayed: value measured again.
        same: share of items with the same score to 1e-9, or None without items.
        within: whether the values differ by at most the repeatability.
        favours: how much better the submitted value is for the submitter; None for a cell that does not enter the score.
    """

    cell: str
    submitted: float
    replayed: float
    same: float | None
    within: bool
    favours: float | None = None


@dataclass(frozen=True, slots=True)
class Replay:
    """What a second measurement says about a record.

    Attributes:
        cells: every cell that both have.
        missing: cells of the record that were not measured again.
        bias: one-sided p-value that so many scored cells favour the submitter by chance (exact sign test).
        identified: whether both were measured on the same weights in memory, by their fingerprints.
    """

    cells: tuple[Agreement, ...]
    missing: tuple[str, ...]
    bias: float
    identified: bool

    @property
    def objections(self) -> list[str]:
        """Why the record cannot be called re-run, in sentences; empty when it can."""
        apart = [cell for cell in self.cells if not cell.within]
        found = [f"{len(apart)} of {len(self.cells)} cells differ by more than the repeatability"] if apart else []
        if self.missing:
            found.append(f"{len(self.missing)} cells were not measured again, such as {self.missing[0]}")
        if not self.identified:
            found.append("the fingerprints of the weights are not both known, or differ")
        if self.bias < BIASED:
            leaning = sum((cell.favours or 0.0) > 0 for cell in self.cells)
            found.append(f"{leaning} cells favour the submitter, which chance gives with p = {self.bias:.2g}")
        return found


def replayed(entry: Entry, again: Entry, repeatability: float = REPEATABILITY) -> Replay:
    """Compare a record with a second measurement of its model, and say whether that confirms it.

    Values that were all shaved by less than the repeatability agree cell by cell; only together do they show.

    Raises:
        RecordError: the second measurement is of other weights or another suite, or shares no cell.
    """
    cells = tuple(agreement(entry, again, repeatability))
    there = {cell.cell for cell in cells}
    missing = [_cell(r.task, r.metric, run_id(r.attack, r.seed)) for r in entry.record.results if r.value is not None]
    prints = [side.record.model.fingerprint for side in (entry, again)]
    return Replay(
        cells,
        tuple(cell for cell in missing if cell not in there),
        _one_sided([cell.favours for cell in cells if cell.favours is not None]),
        prints[0] is not None and prints[0] == prints[1],
    )


def agreement(entry: Entry, again: Entry, repeatability: float = REPEATABILITY) -> list[Agreement]:
    """Compare every cell that both have.

    Raises:
        RecordError: the repeatability is no fraction, the replay is of other weights or another suite, or shares no cell.
    """
    if not 0 <= repeatability < 1:
        raise RecordError(f"repeatability = {repeatability:g} is not a fraction; 0.02 means two percentage points")
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
            Agreement(
                _cell(*key),
                result.value,
                value,
                _same(columns),
                abs(value - result.value) <= repeatability,
                _favours(_spec(ours, *key[:2]), result.value, value),
            )
        )
    if not found:
        raise RecordError("the replay shares no cell with the record; replay one of its tasks under one of its attacks")
    return found


def _cell(task: str, metric: str, run: str) -> str:
    return f"{task} {metric} {run}"


def _spec(record: Record, task: str, metric: str) -> MetricSpec:
    return record.suite.tasks[task].metrics[metric]


def _favours(spec: MetricSpec, submitted: float, replayed: float) -> float | None:
    """Less knowledge of what should be forgotten is better, more of everything else."""
    if spec.role not in SCORED_ROLES:
        return None
    return replayed - submitted if spec.higher_means == "more_knowledge" else submitted - replayed


def _one_sided(differences: Sequence[float]) -> float:
    """P(at least so many of n fair coins) over the differences that are not 0."""
    moved = [difference for difference in differences if abs(difference) > 1e-9]
    n, k = len(moved), sum(difference > 0 for difference in moved)
    return float(sum(math.comb(n, i) for i in range(k, n + 1)) / 2**n)


def _same(columns: Sequence[Sequence[object] | None]) -> float | None:
    a, b = columns
    if a is None or b is None or len(a) != len(b) or not a:
        return None
    pairs = zip(a, b, strict=True)
    return sum(x == y or (isinstance(x, float) and isinstance(y, float) and abs(x - y) < 1e-9) for x, y in pairs) / len(
        a
    )
