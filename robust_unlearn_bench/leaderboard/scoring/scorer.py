"""Scorer v1: how well a model has forgotten, whatever is done to its weights, and what it can still do.

x(θ, a) is a forget metric of model θ under attack a, u(θ, a) a utility metric; T is the target, G the retrain model.

    leakage            L(θ, a) = (x(θ, a) − x(G, a)) / (x(T, none) − x(G, a))        0 = retrain, 1 = target
    robust forgetting  F = 1 − max over attacks and forget metrics of clip(L, 0, 1)
    utility            U = min over utility metrics and deployed forms of clip((u − floor) / (ref − floor), 0, 1),
                       ref = min(u(T, a), u(G, a))
    score              2·F·U / (F + U)

The retrain model gets the same attack: relearning teaches any model, and quantisation costs any model utility. Scores
are absolute: they depend on the row, the target and the retrain model, never on other rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ...errors import RecordError
from ..record.attack_id import AttackId
from ..record.entry import Entry
from ..record.events import TIERS, Tier
from .board import Board, Row
from .curve import curves_of
from .extremes import largest, smallest, spanning
from .measure import Design, Estimate, measure
from .relative import Controls, leakages, shares
from .stats import REPLICATES, Floats, Number, ranks

__all__ = ["MIN_CLUSTERS", "OVER_UNLEARNED", "SCORER_VERSION", "harmonic", "score"]

SCORER_VERSION = "1.0"

MIN_CLUSTERS = 8
"""With fewer clusters in a forget task no row is ranked: the bootstrap cannot know its own spread."""

OVER_UNLEARNED = -0.05
"""A cell whose whole interval of leakage lies below this is marked: the model knows less than one that never learned."""


def score(
    entries: Sequence[Entry],
    target: Entry,
    retrain: Entry,
    *,
    replicates: int = REPLICATES,
    seed: int = 0,
    least: Tier = "self_reported",
) -> Board:
    """Score models against the target and the retrain model of their suite.

    Args:
        entries: the rows; target and retrain are added when absent.
        target: the model before unlearning, with items.
        retrain: the model that never saw the forget data, with items.
        replicates: number of bootstrap replicates.
        seed: seed of the bootstrap.
        least: the weakest tier that is ranked.

    Raises:
        RecordError: an anchor lacks items, target and retrain are the same weights, or a row is of another suite.
    """
    _check_anchors(target, retrain)
    design = Design.of(target, retrain, replicates, seed)
    controls = Controls.of(design, measure(target, design), measure(retrain, design))
    listed = {entry.id: entry for entry in (*entries, target, retrain)}
    named = {attack.name: attack.id for attack in target.record.attacks}
    attacks = tuple(named[name] for name in design.attacks)
    scored = {key: _row(entry, design, controls, attacks) for key, entry in listed.items()}
    few = min(
        (design.draws[cell.task].shape[1] for cell in design.cells("forget") if cell.task in design.draws), default=0
    )
    marked = [replace(row, unranked=_unranked(row, target.id, retrain.id, least, few)) for row in scored.values()]
    rows = _ordered(_ranked(marked))
    by_id = {row.entry.id: row for row in rows}
    return Board(
        suite=design.suite[0],
        suite_version=design.suite[1],
        scorer_version=SCORER_VERSION,
        attacks=attacks,
        rows=tuple(rows),
        target=by_id[target.id],
        retrain=by_id[retrain.id],
        not_identifiable=controls.skipped,
        replicates=replicates,
        seed=seed,
    )


def harmonic(a: Floats | float, b: Floats | float) -> Floats:
    """2ab / (a + b), 0 where either is 0."""
    total = np.asarray(a + b)
    with np.errstate(invalid="ignore", divide="ignore"):
        result: Floats = np.where(total > 0, 2 * np.asarray(a) * b / total, 0.0)
    return result


def _check_anchors(target: Entry, retrain: Entry) -> None:
    if target.id == retrain.id:
        raise RecordError("target and retrain are the same record; pass the retrain model's own")
    for entry, what in ((target, "target"), (retrain, "retrain")):
        if not entry.items:
            raise RecordError(
                f"the {what} record {entry.record.display_name!r} has no items; rebuild it from lm_eval --log_samples"
            )
    prints = [entry.record.model.fingerprint for entry in (target, retrain)]
    if prints[0] is not None and prints[0] == prints[1]:
        raise RecordError("target and retrain have the same weights; leakage needs two different models")


def _row(entry: Entry, design: Design, controls: Controls, attacks: Sequence[AttackId]) -> Row:
    own = measure(entry, design)
    leaks, forgetting = leakages(own, design, controls)
    kept, utilities = shares(own, design, controls)
    missing = tuple(
        " ".join(cell)
        for cell in (*design.cells("forget"), *design.cells("utility"))
        if cell not in own and cell not in controls.skipped
    )
    why = f"partial: {len(missing)} cells missing" if missing else None if leaks and kept else "no identifiable cell"
    numbers = (Number(None, why=why),) * 3
    draws, worst = None, None
    if why is None:
        # nothing leaks less than nothing: 0 competes with every cell
        leak = largest(
            *_stack([Estimate(0.0, np.zeros(design.replicates)), *(leak.clipped() for leak in leaks.values())])
        )
        keep = smallest(*_stack(list(kept.values())))
        forgot = [None if series is None else 1 - np.clip(series, 0, 1) for series in (leak.fixed, leak.tied)]
        useful = [None if series is None else np.clip(series, 0, 1) for series in (keep.fixed, keep.tied)]
        both = [None if f is None or u is None else harmonic(f, u) for f, u in zip(forgot, useful, strict=True)]
        f, u = 1 - leak.point, keep.point
        numbers = (spanning(f, *forgot), spanning(u, *useful), spanning(float(harmonic(f, u)), *both))
        draws = both[0]
        worst = list(leaks)[leak.index - 1] if leak.index else None
    return Row(
        entry=entry,
        forgetting=forgetting,
        utilities=utilities,
        robust_forgetting=numbers[0],
        utility=numbers[1],
        score=numbers[2],
        worst=worst,
        missing=missing,
        over_unlearned=tuple(
            f.cell for f in forgetting if f.leakage.high is not None and f.leakage.high < OVER_UNLEARNED
        ),
        curves=curves_of(attacks, {cell: leak.point for cell, leak in leaks.items()}),
        replicates=draws,
    )


def _stack(estimates: Sequence[Estimate]) -> tuple[Floats, Floats | None]:
    """Points [k] and replicates [k, B] of several cells."""
    draws = [estimate.replicates for estimate in estimates if estimate.replicates is not None]
    points = np.array([estimate.point for estimate in estimates])
    return points, np.stack(draws) if len(draws) == len(estimates) else None


def _unranked(row: Row, target: str, retrain: str, least: Tier, clusters: int) -> str | None:
    standing, kind = row.entry.standing, row.record.model.kind
    if row.entry.id in (target, retrain):
        return "anchor"
    if kind != "unlearned":
        return f"control ({kind})"
    if standing.state != "active":
        return f"{standing.state}: {standing.reason}" if standing.reason else standing.state
    if row.score.value is None:
        return row.score.why
    if row.replicates is None:
        return "no item file"
    if TIERS.index(standing.tier) < TIERS.index(least):
        return standing.tier.replace("_", " ")
    if clusters < MIN_CLUSTERS:
        return f"the suite has {clusters} clusters, {MIN_CLUSTERS} are needed to rank"
    return None


def _ranked(rows: Sequence[Row]) -> list[Row]:
    chosen = [row for row in rows if row.unranked is None]
    if not chosen:
        return list(rows)
    points = np.array([row.score.value for row in chosen], dtype=float)
    draws = np.stack([row.replicates for row in chosen if row.replicates is not None], axis=1)
    draws = np.where(np.isfinite(draws), draws, points)
    place = dict(zip((row.entry.id for row in chosen), ranks(points, draws), strict=True))
    return [replace(row, rank=place.get(row.entry.id)) for row in rows]


def _ordered(rows: Sequence[Row]) -> list[Row]:
    """By score, undefined last; equal scores by name and id, so that the order never depends on the input's."""
    return sorted(
        rows,
        key=lambda row: (
            row.score.value is None,
            -(row.score.value or 0.0),
            row.record.display_name,
            row.entry.id,
        ),
    )
