"""Which run of an attack counts when it was run with several seeds: the worst, as an attacker would try them all.

The suite fixes the seeds, so every model is met with as many tries. A mean over seeds would let a lucky seed pay for the
others.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..record.schema import MetricSpec

__all__ = ["worst_seed"]


def worst_seed(points: Sequence[float], spec: MetricSpec) -> int:
    """Index of the seed that is worst for the model: the most knowledge left, or the least utility.

    Args:
        points: value of the metric under each seed.
        spec: how the metric is read.
    """
    pick = max if spec.higher_means == "more_knowledge" else min
    return points.index(pick(points))
