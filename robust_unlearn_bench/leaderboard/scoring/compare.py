"""Two rows, paired: is the difference more than chance, and where does it come from?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...errors import RecordError
from ..record.entry import Entry
from .board import Row
from .families import holds, says
from .measure import Design, Estimate, measure
from .relative import Controls, leakages, shares
from .scorer import score
from .stats import REPLICATES, Floats, Number, number, paired_p_values

__all__ = ["Comparison", "Difference", "compare"]


@dataclass(frozen=True, slots=True)
class Difference:
    """a − b of one quantity."""

    what: str
    a: float
    b: float
    difference: Number


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two rows of one suite version.

    Attributes:
        a: the first row.
        b: the second row.
        score: difference of the robust unlearning scores.
        p: two-sided p-value of that difference.
        families: differences of forgetting by what they say and by what they hold, as far as both rows have it.
        leakage: differences of leakage, one for each cell.
        utility: differences of the share of utility kept, one for each cell.
    """

    a: Row
    b: Row
    score: Difference
    p: float | None
    families: tuple[Difference, ...]
    leakage: tuple[Difference, ...]
    utility: tuple[Difference, ...]


def compare(a: Entry, b: Entry, target: Entry, retrain: Entry, *, seed: int = 0) -> Comparison:
    """Compare two records with the same bootstrap draws for both.

    Raises:
        RecordError: they are the same record, or of different suites.
    """
    if a.id == b.id:
        raise RecordError(f"{a.id} cannot be compared with itself")
    board = score([a, b], target, retrain, seed=seed)
    rows = {row.entry.id: row for row in board.rows}
    design = Design.of(target, retrain, REPLICATES, seed)
    anchors = measure(target, design), measure(retrain, design)
    controls = Controls.of(design, *anchors)
    measured = [measure(entry, design) for entry in (a, b)]
    leaks = [leakages(own, design, controls)[0] for own in measured]
    kept = [shares(own, design, controls)[0] for own in measured]
    families = [
        _difference(name, *(Estimate(1 - t.point, _complement(t.replicates)) for t in traces))
        for name, family in (("says", says), ("holds", holds))
        if len(traces := [t for own in measured if (t := family(own, *anchors, design, board.attacks)[0].trace)]) == 2
    ]
    first, second = rows[a.id], rows[b.id]
    p: float | None = None
    if (
        first.replicates is not None
        and second.replicates is not None
        and None not in (first.score.value, second.score.value)
    ):
        draws = np.stack([first.replicates, second.replicates], axis=1)
        points = np.array([first.score.value, second.score.value], dtype=float)
        p = float(paired_p_values(points, draws)[0, 1])
    return Comparison(
        a=first,
        b=second,
        score=_difference("score", _estimate(first), _estimate(second)),
        p=p,
        families=tuple(families),
        leakage=tuple(_difference(" ".join(c), leaks[0][c], leaks[1][c]) for c in leaks[0] if c in leaks[1]),
        utility=tuple(_difference(" ".join(c), kept[0][c], kept[1][c]) for c in kept[0] if c in kept[1]),
    )


def _complement(replicates: Floats | None) -> Floats | None:
    return None if replicates is None else 1 - replicates


def _estimate(row: Row) -> Estimate:
    if row.score.value is None:
        raise RecordError(f"{row.record.display_name!r} has no score ({row.score.why}); compare complete records")
    return Estimate(row.score.value, row.replicates)


def _difference(what: str, a: Estimate, b: Estimate) -> Difference:
    draws: Floats | None = None
    if a.replicates is not None and b.replicates is not None:
        draws = a.replicates - b.replicates
    return Difference(what, a.point, b.point, number(a.point - b.point, draws))
