"""Each cell relative to its controls: leakage between retrain and target, utility as a share of theirs.

A cell whose gap between knowing and not knowing is small against its standard error says nothing about a model in
between; it is shown, and left out for every row of the suite version.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .board import Forgetting, Utility
from .measure import Cell, Design, Estimate, Measured
from .stats import Floats, Number, number

__all__ = ["DEPLOYED", "IDENTIFIABLE", "Controls", "leakages", "shares"]

DEPLOYED = ("none", "gptq4")
"""Attacks that are also forms in which models are deployed: utility counts under each."""

IDENTIFIABLE = 3.0
"""A gap below this many standard errors is not clear."""


@dataclass(frozen=True, slots=True)
class Controls:
    """What the target and the retrain model score.

    Attributes:
        target: estimates of every cell for the target.
        retrain: estimates of every cell for the retrain model.
        gaps: what separates knowing from not knowing: x(T, none) − x(G, a), or min(u(T, a), u(G, a)) − floor.
        skipped: cells whose gap is not clear.
    """

    target: Measured
    retrain: Measured
    gaps: Mapping[Cell, Estimate]
    skipped: tuple[Cell, ...]

    @classmethod
    def of(cls, design: Design, target: Measured, retrain: Measured) -> Controls:
        """Compute the gap of every cell."""
        gaps, skipped = {}, []
        for role in ("forget", "utility"):
            for cell in design.cells(role):
                above, below = target.get(_known(cell, role)), retrain.get(cell)
                if above is None or below is None:
                    continue
                floor = design.metrics[cell.task, cell.metric].floor
                gaps[cell] = _minus(above, below) if role == "forget" else _reference(above, below, floor)
                if not _clear(gaps[cell]):
                    skipped.append(cell)
        return cls(target, retrain, gaps, tuple(skipped))


def leakages(own: Measured, design: Design, controls: Controls) -> tuple[dict[Cell, Estimate], tuple[Forgetting, ...]]:
    """Leakage of every cell that counts, and all cells as they are shown."""
    counted: dict[Cell, Estimate] = {}
    shown = []
    for cell in design.cells("forget"):
        gap, mine = controls.gaps.get(cell), own.get(cell)
        if gap is None:
            continue
        base, clear = controls.retrain[cell], cell not in controls.skipped
        leak = _over(_minus(mine, base), gap) if mine is not None and gap.point > 0 else None
        if clear and leak is not None:
            counted[cell] = leak
        if not clear:
            text = number(leak.point if leak else None, None, "not identifiable: target and retrain are too close")
        else:
            text = number(leak.point, leak.replicates) if leak else Number(None, why="not measured")
        known = controls.target[_known(cell, "forget")].point
        shown.append(Forgetting(cell, mine.point if mine else None, known, base.point, text, clear))
    return counted, tuple(shown)


def shares(own: Measured, design: Design, controls: Controls) -> tuple[dict[Cell, Estimate], tuple[Utility, ...]]:
    """Utility share of every cell that counts, and all cells as they are shown."""
    counted: dict[Cell, Estimate] = {}
    shown = []
    for cell in design.cells("utility"):
        gap, mine = controls.gaps.get(cell), own.get(cell)
        if gap is None:
            continue
        floor = design.metrics[cell.task, cell.metric].floor
        share: Estimate | None = None
        if mine is not None and gap.point > 0:
            raw = _over(Estimate(mine.point - floor, None if mine.replicates is None else mine.replicates - floor), gap)
            share = raw.clipped()
        counts = cell.attack in DEPLOYED and cell not in controls.skipped
        if counts and share is not None:
            counted[cell] = share
        text = number(share.point, share.replicates) if share else Number(None, why="not measured")
        shown.append(Utility(cell, mine.point if mine else None, gap.point + floor, text, counts))
    return counted, tuple(shown)


def _known(cell: Cell, role: str) -> Cell:
    """Where the target shows what there was to know: unattacked for forget metrics, under the same attack for utility."""
    return cell._replace(attack="none") if role == "forget" else cell


def _minus(a: Estimate, b: Estimate) -> Estimate:
    draws = None if a.replicates is None or b.replicates is None else a.replicates - b.replicates
    return Estimate(a.point - b.point, draws)


def _reference(a: Estimate, b: Estimate, floor: float) -> Estimate:
    draws = None if a.replicates is None or b.replicates is None else np.minimum(a.replicates, b.replicates) - floor
    return Estimate(min(a.point, b.point) - floor, draws)


def _over(part: Estimate, whole: Estimate) -> Estimate:
    """Part / whole; in a replicate whose whole is not positive, the limit for a vanishing one: 0 at or below 0, else 1."""
    draws: Floats | None = None
    if part.replicates is not None and whole.replicates is not None:
        limit = np.where(part.replicates > 0, 1.0, 0.0)
        with np.errstate(invalid="ignore", divide="ignore"):
            draws = np.where(whole.replicates > 0, part.replicates / whole.replicates, limit)
    return Estimate(part.point / whole.point, draws)


def _clear(gap: Estimate) -> bool:
    if gap.point <= 0 or gap.replicates is None:
        return False
    defined = gap.replicates[np.isfinite(gap.replicates)]
    return len(defined) > 1 and gap.point >= IDENTIFIABLE * float(np.std(defined, ddof=1))
