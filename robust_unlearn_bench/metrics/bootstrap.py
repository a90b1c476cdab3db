"""Cluster bootstrap over all replicates at once, for printed standard errors and the leaderboard's intervals.

Documents of one cluster (such as the questions about one author) are not independent, so whole clusters are drawn.
A replicate is stored as the number of times each cluster was drawn, so that a statistic of weighted documents is
computed for all replicates in one matrix product. When two sides are compared (forget and holdout), each is a stratum
that keeps its size. The draws depend only on the names of clusters and strata and on the seed, not on the order of the
documents.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "REPLICATES",
    "cluster_draws",
    "document_draws",
    "harmonic_means",
    "standard_error",
    "weighted_auc",
    "weighted_mean",
]

REPLICATES = 1000
"""Number of replicates behind a printed standard error, which makes it accurate to 2 %."""

Floats = NDArray[np.float64]


def cluster_draws(clusters: Sequence[str], strata: Sequence[str], replicates: int, seed: int) -> Floats:
    """Count how often each cluster is drawn in each replicate: C − 1 of C with replacement, stratum by stratum.

    Args:
        clusters: names of the clusters, each once, [C].
        strata: stratum of each cluster, [C].
        replicates: number of replicates B.
        seed: seed of the private random generator.

    Returns:
        Counts, [B, C], read-only.

    Source: Rao and Wu, 1988, "Resampling inference with complex survey data": drawing C − 1 makes the variance of a
        mean unbiased, whereas drawing C makes intervals from 20 clusters 2.5 % too narrow.
    """
    return _draws(tuple(clusters), tuple(strata), replicates, seed)


@lru_cache(maxsize=32)
def _draws(clusters: tuple[str, ...], strata: tuple[str, ...], replicates: int, seed: int) -> Floats:
    order = sorted(range(len(clusters)), key=lambda i: (strata[i], clusters[i]))
    digest = hashlib.sha256("\n".join(f"{strata[i]}\t{clusters[i]}" for i in order).encode()).digest()
    rng = np.random.default_rng([seed, int.from_bytes(digest[:8], "big")])
    counts = np.zeros((replicates, len(clusters)))
    for stratum in sorted(set(strata)):
        members = np.array([k for k in order if strata[k] == stratum])
        n = len(members)
        for replicate in counts:
            replicate[members] = np.bincount(rng.integers(0, n, size=max(n - 1, 1)), minlength=n)
    counts.flags.writeable = False
    return counts


def document_draws(
    clusters: Sequence[str], strata: Sequence[str], *, replicates: int = REPLICATES, seed: int = 0
) -> Floats:
    """Count how often each document is drawn in each replicate, which is as often as its cluster.

    Args:
        clusters: cluster of each document, [n].
        strata: stratum of each document, [n]; clusters that span the same several strata form a stratum of their own.
        replicates: number of replicates B.
        seed: seed of the private random generator.

    Returns:
        Counts, [B, n].
    """
    kinds: dict[str, set[str]] = {}
    for cluster, stratum in zip(clusters, strata, strict=True):
        kinds.setdefault(cluster, set()).add(stratum)
    at = {cluster: i for i, cluster in enumerate(kinds)}
    counts = cluster_draws(tuple(kinds), [" ".join(sorted(kind)) for kind in kinds.values()], replicates, seed)
    return counts[:, [at[cluster] for cluster in clusters]]


def weighted_mean(values: Sequence[float], weights: Floats) -> Floats:
    """Compute the mean of weighted documents: values [n], weights [B, n] → [B]; NaN where all weights are 0."""
    with np.errstate(invalid="ignore"):
        result: Floats = weights @ np.asarray(values, dtype=float) / weights.sum(axis=1)
    return result


def weighted_auc(forget: Sequence[float], holdout: Sequence[float], w_forget: Floats, w_holdout: Floats) -> Floats:
    """Compute `membership.auc` of weighted documents: scores [n] and [m], weights [B, n] and [B, m] → [B]."""
    ours, theirs = np.asarray(forget, dtype=float), np.asarray(holdout, dtype=float)
    wins = (theirs < ours[:, None]) + 0.5 * (theirs == ours[:, None])  # [n, m]
    pairs = w_forget.sum(axis=1) * w_holdout.sum(axis=1)
    result: Floats = ((w_forget @ wins) * w_holdout).sum(axis=1) / pairs
    return result


def harmonic_means(values: Floats) -> Floats:
    """Compute the harmonic mean over the last axis, [B, k] → [B]; 0 where a component is 0."""
    with np.errstate(divide="ignore"):
        result: Floats = values.shape[1] / (1 / values).sum(axis=1)
    return result


def standard_error(replicates: NDArray[Any]) -> float:
    """Compute the standard deviation over the replicates of a statistic, [B] → scalar.

    NaN if fewer than two replicates are defined or if they are all equal: for a statistic at its bound (an AUC of 0)
    the bootstrap cannot estimate the error, which does not make it 0.
    """
    defined = replicates[np.isfinite(replicates)]
    return float(np.std(defined, ddof=1)) if len(defined) > 1 and np.ptp(defined) > 0 else float("nan")
