"""Mean over what was scored."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence
from typing import TypeVar

__all__ = ["mean", "mean_stderr", "scored"]

T = TypeVar("T")


def scored(values: Iterable[T | None]) -> list[T]:
    """The values that are not None, in order."""
    return [value for value in values if value is not None]


def mean(values: Sequence[float | None]) -> float:
    """Arithmetic mean of the scored values; NaN when there is none."""
    kept = scored(values)
    return math.fsum(kept) / len(kept) if kept else math.nan


def mean_stderr(values: Sequence[float | None], clusters: Sequence[Hashable]) -> float:
    """Standard error of `mean` when whole clusters are sampled: √(C/(C − 1)·Σ_c (Σ_{i∈c} (x_i − x̄))²)/n.

    What the bootstrap of `bootstrap.py` comes to for a mean, without its noise; where every value is a cluster of its
    own, it is the sample standard deviation over √n.

    Args:
        values: n of them scored.
        clusters: the cluster of each value.

    Returns:
        The standard error; NaN below two clusters.
    """
    centre = mean(values)
    sums: dict[Hashable, list[float]] = {}
    for value, cluster in zip(values, clusters, strict=True):
        if value is not None:
            sums.setdefault(cluster, []).append(value - centre)
    if len(sums) < 2:
        return math.nan
    between = math.fsum(math.fsum(own) ** 2 for own in sums.values())
    return math.sqrt(between * len(sums) / (len(sums) - 1)) / sum(map(len, sums.values()))
