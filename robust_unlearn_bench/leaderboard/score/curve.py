"""How fast a model relearns: leakage against the number of relearning steps."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from ..record.schema import Record

__all__ = ["Curve", "curves_of", "family_of", "half_gap"]

_NUMBERED = re.compile(r"([a-z_]*?relearn[a-z_]*?|finetune)(\d+)((?:_[a-z]+)?)")


@dataclass(frozen=True, slots=True)
class Curve:
    """One relearning attack at several lengths.

    Attributes:
        family: the attack's name without its number ("relearn", "relearn_retain").
        points: (k, leakage of the leakiest metric), k ascending, from k = 0 (no attack).
        area: mean clipped leakage over [0, largest k].
        k50: steps at which half of the gap between retrain and target is regained, between grid points by linear
            interpolation; 0 when it never was lost, None when it is not regained on the grid.
    """

    family: str
    points: tuple[tuple[int, float], ...]
    area: float
    k50: float | None


def family_of(attack: str) -> tuple[str, int] | None:
    """("relearn_retain", 20) for "relearn20_retain"; None for an attack that has no length or is composed."""
    match = _NUMBERED.fullmatch(attack)
    return (match[1].rstrip("_") + match[3], int(match[2])) if match else None


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


def curves_of(record: Record, leakage: Mapping[Any, float]) -> tuple[Curve, ...]:
    """Curves of every relearning family with at least two lengths (k = 0 included), from (task, metric, attack) cells."""
    worst: dict[str, float] = {}
    for (_, _, attack), value in leakage.items():
        worst[attack] = max(worst.get(attack, value), value)
    families: dict[str, dict[int, float]] = {}
    for attack in dict.fromkeys(a.name for a in record.attacks):
        if (named := family_of(attack)) and attack in worst:
            families.setdefault(named[0], {})[named[1]] = worst[attack]
    found = []
    for family, by_length in families.items():
        points = tuple(sorted({**({0: worst["none"]} if "none" in worst else {}), **by_length}.items()))
        if len(points) > 1:
            found.append(Curve(family, points, _area(points), half_gap(points)))
    return tuple(found)


def _area(points: Sequence[tuple[int, float]]) -> float:
    clipped = [(k, min(max(leak, 0.0), 1.0)) for k, leak in points]
    total = sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in pairwise(clipped))
    return total / (clipped[-1][0] - clipped[0][0])
