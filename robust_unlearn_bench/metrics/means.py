"""Mean over the scored documents."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence
from typing import TypeVar

__all__ = ["mean", "mean_stderr", "scored"]

T = TypeVar("T")


def scored(values: Iterable[T | None]) -> list[T]:
    """Return the values that are not None, in order."""
    return [value for value in values if value is not None]


def mean(values: Sequence[float | None]) -> float:
    """Compute the arithmetic mean of the scored values; NaN if there are none."""
    kept = scored(values)
    return math.fsum(kept) / len(kept) if kept else math.nan


def mean_stderr(values: Sequence[float | None], clusters: Sequence[Hashable]) -> float:
    """Compute the standard error of `mean` if whole clusters are sampled: √(C/(C − 1)·Σ_c (Σ_{i∈c} (x_i − x̄))²)/n.

    This closed form is what the bootstrap in `bootstrap.py` estimates for a mean, without resampling noise. If every
    value is a cluster of its own, it is the sample standard deviation over √n.

    Args:
        values: values to average, of which n are scored (not None).
        clusters: cluster of each value.

    Returns:
        The standard error; NaN for fewer than two clusters.
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
