"""Uncertainty: moments by cluster, intervals, Holm's correction, ranks. All replicates at once.

The draws are those of `metrics.bootstrap`: every model on the same documents gets the same ones, and differences are
paired.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...metrics.bootstrap import harmonic_means
from ...metrics.membership import SIDES, familiarity
from ..record.items import Items, Value

__all__ = [
    "REPLICATES",
    "SEPARATED",
    "Moments",
    "Number",
    "holm",
    "number",
    "paired_p_values",
    "percentiles",
    "ranks",
    "seed_draws",
]

REPLICATES = 2000

SEPARATED = 0.001
"""Two equal rows share a rank 999 times in 1000."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Number:
    """A value with its 95 % interval.

    Attributes:
        value: None when it is undefined.
        low: lower end of the interval, or None.
        high: upper end, or None.
        why: why value or interval is blank.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    why: str | None = None


@dataclass(frozen=True, slots=True)
class Moments:
    """Sums and counts of scores by cluster, from which any replicate of a mean is two matrix products.

    Attributes:
        clusters: cluster names, [C].
        strata: for each cluster, which components its documents feed; resampled apart.
        columns: (run, metric) → slice into the last axis.
        parts: (run, metric) → names of the components in that slice, ("",) for plain numbers.
        sums: [C, K], K = all components of all columns.
        counts: scored documents, [C, K].
    """

    clusters: tuple[str, ...]
    strata: tuple[str, ...]
    columns: dict[tuple[str, str], slice]
    parts: dict[tuple[str, str], tuple[str, ...]]
    sums: Floats
    counts: Floats

    @classmethod
    def of(cls, items: Items, metrics: Sequence[str]) -> Moments:
        """Sum the scores of these metrics, by cluster."""
        names = tuple(dict.fromkeys(items.cluster))
        code = {name: i for i, name in enumerate(names)}
        codes = np.array([code[name] for name in items.cluster], dtype=np.intp)
        columns: dict[tuple[str, str], slice] = {}
        named: dict[tuple[str, str], tuple[str, ...]] = {}
        blocks: list[Floats] = []
        strata: dict[int, set[str]] = {}
        width = 0
        for key, values in items.scores.items():
            if key[1] not in metrics:
                continue
            block, parts = _matrix(values)
            if len(parts) > 1:
                for i, value in enumerate(values):
                    strata.setdefault(int(codes[i]), set()).update(value if isinstance(value, dict) else ())
            columns[key], named[key] = slice(width, width + block.shape[1]), parts
            width += block.shape[1]
            blocks.append(block)
        table = np.concatenate(blocks, axis=1) if blocks else np.zeros((len(codes), 0))
        known = np.isfinite(table)
        sums, counts = np.zeros((len(names), width)), np.zeros((len(names), width))
        np.add.at(sums, codes, np.where(known, table, 0.0))
        np.add.at(counts, codes, known.astype(float))
        kinds = tuple(" ".join(sorted(strata.get(i, ()))) for i in range(len(names)))
        return cls(names, kinds, columns, named, sums, counts)

    def values(self, draws: Floats) -> dict[tuple[str, str], Floats]:
        """Every column under every draw: weights [B, C] → values [B], NaN where nothing was drawn."""
        if (self.counts == self.counts[:, :1]).all() and self.counts.shape[1]:
            below = (draws @ self.counts[:, :1]).repeat(self.counts.shape[1], axis=1)
        else:
            below = draws @ self.counts
        with np.errstate(invalid="ignore", divide="ignore"):
            means = (draws @ self.sums) / below
            return {key: _joined(means[:, part], self.parts[key]) for key, part in self.columns.items()}

    def point(self) -> dict[tuple[str, str], Floats]:
        """Every column on the documents as they are, each [1]."""
        return self.values(np.ones((1, len(self.clusters))))

    def halves(self) -> Floats:
        """Two masks that split the clusters of each stratum into random halves, [2, C]; they depend on the names alone."""
        masks = np.zeros((2, len(self.clusters)))
        for stratum in sorted(set(self.strata)):
            members = [i for i, own in enumerate(self.strata) if own == stratum]
            members.sort(key=lambda i: hashlib.sha256(self.clusters[i].encode()).digest())
            for place, i in enumerate(members):
                masks[place % 2, i] = 1.0
        return masks


def seed_draws(attack: str, seeds: int, replicates: int, seed: int) -> Floats:
    """Weight of each attack seed in each replicate, [B, S], rows summing to 1."""
    if seeds == 1:
        return np.ones((replicates, 1))
    digest = hashlib.sha256(attack.encode()).digest()
    rng = np.random.default_rng([seed, seeds, int.from_bytes(digest[:8], "big")])
    return rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=replicates) / seeds


def percentiles(replicates: NDArray[Any], level: float = 0.95) -> tuple[float, float] | None:
    """Percentile interval; None when the replicates do not vary, or more than one in twenty is undefined."""
    defined = replicates[np.isfinite(replicates)]
    if len(defined) < 0.95 * len(replicates) or np.ptp(defined) < 1e-12:
        return None
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def number(point: float | None, replicates: NDArray[Any] | None, why: str | None = None) -> Number:
    """A value with its interval, or the reason why there is none."""
    if point is None or point != point:
        return Number(None, why=why or "undefined")
    if replicates is None:
        return Number(float(point), why=why or "no item file")
    ends = percentiles(replicates)
    if ends is None:
        return Number(float(point), why=why or "the same in every replicate")
    return Number(float(point), *ends)


def paired_p_values(points: Floats, replicates: Floats) -> Floats:
    """Two-sided p-values of all pairwise differences, [R] and [B, R] → [R, R]; normal, with the paired bootstrap SE.

    A difference that never varies is certain: p = 0, or 1 when it is zero.
    """
    centred = replicates - replicates.mean(axis=0)
    covariance = centred.T @ centred / (len(replicates) - 1)
    variance = np.diag(covariance)
    spread = np.sqrt(np.maximum(variance[:, None] + variance[None, :] - 2 * covariance, 0.0))
    difference = np.abs(points[:, None] - points[None, :])
    from scipy.special import ndtr

    with np.errstate(divide="ignore", invalid="ignore"):
        p = 2 * ndtr(-difference / spread)
    result: Floats = np.where(spread < 1e-9, np.where(difference < 1e-9, 1.0, 0.0), p)
    return result


def holm(p_values: Sequence[float] | Floats) -> Floats:
    """Holm's step-down adjusted p-values, in the order given.

    adjusted(i) = max over j ≤ i of min(1, (m − j + 1)·p(j)), p sorted ascending.

    Source: Holm, 1979, "A simple sequentially rejective multiple test procedure".
    """
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p, kind="stable")
    stepped = np.minimum(1.0, (len(p) - np.arange(len(p))) * p[order])
    adjusted = np.empty_like(p)
    adjusted[order] = np.maximum.accumulate(stepped)
    return adjusted


def ranks(points: Floats, replicates: Floats, alpha: float = SEPARATED) -> list[int]:
    """1 + the length of the longest ladder above a row, in which every row is significantly better than the next.

    Near-copies of a row stand on one rung, because nothing separates them: however many are added, nobody's rank moves.
    That is why rungs are counted and not rows, and why each pair is tested at one fixed level: a correction for the number
    of pairs would let copies hide differences between others.

    Args:
        points: scores, [R].
        replicates: paired bootstrap replicates of the scores, [B, R].
        alpha: two-sided level at which a pair is separated.
    """
    n = len(points)
    if n < 2:
        return [1] * n
    separated = paired_p_values(points, replicates) <= alpha
    found = np.ones(n, dtype=int)
    order = np.argsort(-points, kind="stable")
    for place, row in enumerate(order):
        above = order[:place]
        above = above[separated[row, above] & (points[above] > points[row])]
        if len(above):
            found[row] = 1 + found[above].max()
    return [int(rank) for rank in found]


def _joined(means: Floats, parts: tuple[str, ...]) -> Floats:
    """One number from the means of the components, [B, k] → [B]: see `MetricSpec.aggregate`."""
    if len(parts) == 1:
        return means[:, 0]
    if set(parts) == SIDES:
        return familiarity(means[:, parts.index("forget")], means[:, parts.index("holdout")])
    return harmonic_means(means)


def _matrix(values: Sequence[Value]) -> tuple[Floats, tuple[str, ...]]:
    """One column a component, NaN where it was not scored."""
    parts = tuple(dict.fromkeys(name for value in values if isinstance(value, dict) for name in value))
    if not parts:
        return np.array([[np.nan if value is None else value] for value in values], dtype=float), ("",)
    rows = [[value.get(name) if isinstance(value, dict) else None for name in parts] for value in values]
    return np.array([[np.nan if x is None else x for x in row] for row in rows], dtype=float), parts
