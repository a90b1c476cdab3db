"""Uncertainty of a worst case: the largest of several noisy numbers, some of which may be as large as the largest.

The maximum of noisy cells is above the true maximum when several cells compete, and resampling adds the same shift
once more: with ten equal cells the plain percentile interval covers the truth one time in six. So two series are drawn:

    fixed   the cell that is largest in the data, replicate by replicate: right when one cell stands out
    tied    the maximum inside each replicate over all cells within `CLOSE` standard errors of the largest, each centred
            on the largest: right when they are equal; its error is taken off the point

and the interval spans both. Simulated coverage of a nominal 95 %: see `benchmarks/leaderboard_coverage.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .stats import Floats, Number, number, percentiles

__all__ = ["CLOSE", "Extreme", "largest", "smallest", "spanning"]

CLOSE = 1.5
"""Standard errors of their difference within which two cells may be equal."""


@dataclass(frozen=True, slots=True)
class Extreme:
    """A worst case.

    Attributes:
        index: index of the cell that is worst in the data.
        point: value of that cell.
        fixed: replicates of that cell, [B], or None without items.
        tied: replicates of the worst case among its rivals, centred on `point`, [B].
    """

    index: int
    point: float
    fixed: Floats | None
    tied: Floats | None


def largest(points: Floats, replicates: Floats | None) -> Extreme:
    """The largest of k cells.

    Args:
        points: values of the cells, [k].
        replicates: bootstrap replicates of the cells, [k, B], or None without items.
    """
    top = int(np.argmax(points))
    if replicates is None:
        return Extreme(top, float(points[top]), None, None)
    difference = replicates - replicates[top]
    spread = np.nanstd(difference, axis=1, ddof=1)
    rivals = (points[top] - points) <= CLOSE * spread
    rivals[top] = True
    centred = replicates[rivals] - points[rivals, None] + points[top]
    return Extreme(top, float(points[top]), replicates[top], np.max(centred, axis=0))


def smallest(points: Floats, replicates: Floats | None) -> Extreme:
    """The smallest of k cells; arguments as in `largest`."""
    mirror = largest(-points, None if replicates is None else -replicates)
    if mirror.fixed is None or mirror.tied is None:
        return Extreme(mirror.index, -mirror.point, None, None)
    return Extreme(mirror.index, -mirror.point, -mirror.fixed, -mirror.tied)


def spanning(point: float, fixed: Floats | None, tied: Floats | None) -> Number:
    """A value in [0, 1] with the interval that spans both series: percentiles of `fixed`, reversed ones of `tied`."""
    if fixed is None or tied is None:
        return number(point, None)
    one, other = percentiles(fixed), percentiles(tied)
    if one is None and other is None:
        return number(point, fixed)
    lows, highs = ([end[0]] if (end := one) else []), ([end[1]] if (end := one) else [])
    if other is not None:
        lows.append(2 * point - other[1])
        highs.append(2 * point - other[0])
    return Number(point, float(np.clip(min(lows), 0, point)), float(np.clip(max(highs), point, 1)))
