"""How fast a model relearns: leakage against the amount of work that the attacker spends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from ..record.attack_id import AttackId

__all__ = ["Curve", "curves_of", "half_gap"]


@dataclass(frozen=True, slots=True)
class Curve:
    """One attack at several amounts of work.

    Attributes:
        line: what its attacks have in common, as `AttackId.line` names it ("relearn", "relearn_retain").
        unit: of the amounts, "steps" or "epochs".
        points: (amount k, leakage of the leakiest metric) for ascending k, beginning with k = 0, no attack.
        area: mean clipped leakage over [0, largest k].
        k50: amount at which half of the gap between retrain and target is regained, interpolated linearly between grid
            points; 0 when it was never lost, None when it is not regained on the grid.
    """

    line: str
    unit: str
    points: tuple[tuple[int, float], ...]
    area: float
    k50: float | None


def half_gap(points: Sequence[tuple[int, float]]) -> float | None:
    """Smallest k at which leakage reaches .5, on the line through the points."""
    before: tuple[int, float] | None = None
    for k, leak in points:
        if leak >= 0.5:
            if before is None or leak == before[1]:
                return float(k)
            return before[0] + (k - before[0]) * (0.5 - before[1]) / (leak - before[1])
        before = (k, leak)
    return None


def curves_of(attacks: Sequence[AttackId], leakage: Mapping[Any, float]) -> tuple[Curve, ...]:
    """Every curve with at least two points, no attack (k = 0) included.

    Args:
        attacks: the attacks of the board.
        leakage: (task, metric, name of the attack) → leakage.
    """
    worst: dict[str, float] = {}
    for (_, _, attack), value in leakage.items():
        worst[attack] = max(worst.get(attack, value), value)
    start = {0: worst["none"]} if "none" in worst else {}
    lines: dict[tuple[str, str], dict[int, float]] = {}
    for a in attacks:
        if a.line and a.unit and a.amount is not None and a.name in worst:
            lines.setdefault((a.line, a.unit), dict(start))[a.amount] = worst[a.name]
    found = []
    for (line, unit), by_amount in lines.items():
        points = tuple(sorted(by_amount.items()))
        if len(points) > 1:
            found.append(Curve(line, unit, points, _area(points), half_gap(points)))
    return tuple(found)


def _area(points: Sequence[tuple[int, float]]) -> float:
    clipped = [(k, min(max(leak, 0.0), 1.0)) for k, leak in points]
    total = sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in pairwise(clipped))
    return total / (clipped[-1][0] - clipped[0][0])
