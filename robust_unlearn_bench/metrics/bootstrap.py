"""The cluster bootstrap, all replicates at once: behind printed standard errors and behind the leaderboard's intervals.

Documents of one cluster (questions about one author, a passage) are not independent, so whole clusters are drawn.
A replicate is written as how often each cluster was drawn, so that a statistic of weighted documents gives every
replicate in one matrix product. Strata keep their size where sides are compared (forget and holdout). The draws depend
on the names of clusters and strata and on the seed alone, not on the order of the documents.
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
"""Behind a printed standard error, which is then known to 2 %."""

Floats = NDArray[np.float64]


def cluster_draws(clusters: Sequence[str], strata: Sequence[str], replicates: int, seed: int) -> Floats:
    """How often each cluster is drawn in each replicate: C − 1 of C with replacement, stratum by stratum.

    Args:
        clusters: names, each once, [C].
        strata: the stratum of each cluster, [C].
        replicates: number of replicates B.
        seed: of the private random generator.

    Returns:
        Counts, [B, C], read-only.

    Source: Rao and Wu, 1988, "Resampling inference with complex survey data": drawing C − 1 makes the variance of a
        mean unbiased; drawing C makes intervals of 20 clusters 2.5 % too narrow.
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
    """How often each document is drawn in each replicate: as often as its cluster.

    Args:
        clusters: the cluster of each document, [n].
        strata: the stratum of each document, [n]; a cluster with documents in several is in a stratum of its own kind.
        replicates: number of replicates B.
        seed: of the private random generator.

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
    """Mean of weighted documents: values [n], weights [B, n] → [B]; NaN where all weights are 0."""
    with np.errstate(invalid="ignore"):
        result: Floats = weights @ np.asarray(values, dtype=float) / weights.sum(axis=1)
    return result


def weighted_auc(forget: Sequence[float], holdout: Sequence[float], w_forget: Floats, w_holdout: Floats) -> Floats:
    """`membership.auc` of weighted documents: scores [n] and [m], weights [B, n] and [B, m] → [B]."""
    ours, theirs = np.asarray(forget, dtype=float), np.asarray(holdout, dtype=float)
    wins = (theirs < ours[:, None]) + 0.5 * (theirs == ours[:, None])  # [n, m]
    pairs = w_forget.sum(axis=1) * w_holdout.sum(axis=1)
    result: Floats = ((w_forget @ wins) * w_holdout).sum(axis=1) / pairs
    return result


def harmonic_means(values: Floats) -> Floats:
    """Harmonic mean over the last axis, [B, k] → [B]; 0 where a component is 0."""
    with np.errstate(divide="ignore"):
        result: Floats = values.shape[1] / (1 / values).sum(axis=1)
    return result


def standard_error(replicates: NDArray[Any]) -> float:
    """Standard deviation over the replicates of a statistic, [B] → scalar.

    NaN below two defined replicates, and where they are all alike: for a statistic at its bound (an AUC of 0) the
    bootstrap knows no error, which is not an error of 0.
    """
    defined = replicates[np.isfinite(replicates)]
    return float(np.std(defined, ddof=1)) if len(defined) > 1 and np.ptp(defined) > 0 else float("nan")
