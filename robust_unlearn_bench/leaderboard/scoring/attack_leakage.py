"""What one attack brings back, on one half of the clusters: the figure that a search maximises and a record reports.

    L(θ, a) = (x(θ, a) − x(G, a)) / (x(T, none) − x(G, a))

A metric counts while the attack still separates target and retrain model: the gap is at least three standard errors
wide, and the retrain model has learnt less than half of what the target knows beyond it (see `families`). On documents
that the attack leaves unscored (those it was shown, for attacks that train on half of the text) nobody is scored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from ...errors import RecordError
from ...metrics.bootstrap import cluster_draws
from ..record.items import Items, Value
from .families import IDENTIFIABLE, LEARNT
from .stats import REPLICATES, Floats, Moments, Number, number

__all__ = ["REPORTS", "SELECTS", "Half", "Leak", "Reading", "kept", "leaks", "worst"]

Half = Literal[0, 1]
SELECTS: Half = 0
"""The half of the clusters (`Moments.halves`) on which the strongest attack and its metric are chosen."""

REPORTS: Half = 1
"""The other half, on which its leakage is reported."""

Metric = tuple[str, str]
"""Task and metric."""


class Reading(NamedTuple):
    """One model in one state.

    Attributes:
        items: task → its per-document scores.
        run: run id of the state in the items.
    """

    items: Mapping[str, Items]
    run: str


@dataclass(frozen=True, slots=True)
class Leak:
    """One forget metric under the attack; see `record.attack_record.Leaked`."""

    task: str
    metric: str
    model: float | None
    retrain: float | None
    target: float | None
    leakage: Number
    counts: bool


def leaks(
    metrics: Sequence[Metric],
    model: Reading,
    retrain: Reading,
    target: Reading,
    untouched: Reading,
    half: Half,
    *,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> tuple[Leak, ...]:
    """Leakage of every forget metric on one half of the clusters.

    Args:
        metrics: the forget metrics.
        model: the model under the attack.
        retrain: the retrain model under the attack.
        target: the target, unattacked.
        untouched: the retrain model, unattacked.
        half: which half of the clusters to read.
        replicates: number of bootstrap replicates.
        seed: seed of the bootstrap.

    Raises:
        RecordError: the models answered different documents.
    """
    states = {"model": model, "retrain": retrain, "target": target, "untouched": untouched}
    return tuple(_leak(metric, states, half, replicates, seed) for metric in metrics)


def worst(found: Sequence[Leak]) -> Leak | None:
    """The largest leakage that counts, or None."""
    usable = [leak for leak in found if leak.counts and leak.leakage.value is not None]
    return max(usable, key=lambda leak: leak.leakage.value or 0.0, default=None)


def kept(
    floors: Mapping[Metric, float],
    attacked: Reading,
    untouched: Reading,
    *,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> Number:
    """Share of a model's utility that an attack leaves: min over metrics of clip((u(θ, a) − floor) / (u(θ) − floor), 0, 1).

    Args:
        floors: utility metric → value of a model that knows nothing.
        attacked: the model under the attack.
        untouched: the same model, unattacked.
        replicates: number of bootstrap replicates.
        seed: seed of the bootstrap.

    Returns:
        The share on all documents; undefined when the unattacked model has no utility above the floor, 0 when the
        attacked one has no finite answers.
    """
    found: list[tuple[float, Floats]] = []
    for metric, floor in floors.items():
        alone, _ = _values(metric, {"untouched": untouched}, None, replicates, seed)
        if not alone["untouched"] - floor > 0:
            continue
        points, draws = _values(metric, {"attacked": attacked, "untouched": untouched}, None, replicates, seed)
        with np.errstate(invalid="ignore", divide="ignore"):
            series = np.clip((draws["attacked"] - floor) / (draws["untouched"] - floor), 0, 1)
        share = (points["attacked"] - floor) / (points["untouched"] - floor)
        found.append((float(np.clip(share, 0, 1)) if share == share else 0.0, series))
    if not found:
        return Number(None, why="the unattacked model has no utility above the floor")
    return number(*min(found, key=lambda part: part[0]))


def _leak(metric: Metric, states: Mapping[str, Reading], half: Half, replicates: int, seed: int) -> Leak:
    point, draws = _values(metric, states, half, replicates, seed)
    gap, gaps = point["target"] - point["retrain"], draws["target"] - draws["retrain"]
    defined = gaps[np.isfinite(gaps)]
    clear = len(defined) > 1 and gap > 0 and gap >= IDENTIFIABLE * float(np.std(defined, ddof=1))
    learnt = point["retrain"] > point["untouched"] + LEARNT * (point["target"] - point["untouched"])
    mine, base, known = (None if point[name] != point[name] else point[name] for name in ("model", "retrain", "target"))
    if mine is None or base is None:
        share = Number(None, why="not scored")
    elif not clear or learnt:
        share = Number(
            None, why="the retrain model has learnt the text" if learnt else "target and retrain are too close"
        )
    else:
        with np.errstate(invalid="ignore", divide="ignore"):
            series = (draws["model"] - draws["retrain"]) / gaps
        share = number((point["model"] - point["retrain"]) / gap, series)
    return Leak(metric[0], metric[1], mine, base, known, share, counts=share.value is not None)


def _values(
    metric: Metric, states: Mapping[str, Reading], half: Half | None, replicates: int, seed: int
) -> tuple[dict[str, float], dict[str, Floats]]:
    """Points and replicates [B] of one metric in each state, on the documents that are scored in all of them."""
    items = _together(metric, states)
    moments = Moments.of(items, [metric[1]])
    mask = np.ones(len(moments.clusters)) if half is None else moments.halves()[half]
    points = moments.values(mask[None, :])
    draws = moments.values(cluster_draws(moments.clusters, moments.strata, replicates, seed) * mask)
    return (
        {name: float(points[name, metric[1]][0]) for name in states},
        {name: draws[name, metric[1]] for name in states},
    )


def _together(metric: Metric, states: Mapping[str, Reading]) -> Items:
    """The states as runs of one item table."""
    task, name = metric
    columns: dict[str, tuple[Value, ...]] = {}
    frames = set()
    for state, (items, run) in states.items():
        if task not in items or (run, name) not in items[task].scores:
            raise RecordError(f"{task} {name}: no items under {run}; measure every task of the suite under the attack")
        columns[state] = items[task].scores[run, name]
        frames.add((items[task].doc_hash, items[task].cluster))
    if len(frames) > 1:
        raise RecordError(f"{task}: the models were measured on different documents; measure them on the same suite")
    scored = [all(_scored(column[i]) for column in columns.values()) for i in range(len(next(iter(columns.values()))))]
    doc_hash, cluster = frames.pop()
    masked = {
        (state, name): tuple(value if use else None for value, use in zip(column, scored, strict=True))
        for state, column in columns.items()
    }
    return Items(doc_hash, doc_hash, cluster, masked)


def _scored(value: Value) -> bool:
    return value is not None and (not isinstance(value, dict) or any(part is not None for part in value.values()))
