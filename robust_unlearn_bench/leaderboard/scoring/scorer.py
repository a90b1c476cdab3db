"""Scorer 2: how well a model has forgotten, whatever is done to its weights, and what it can still do.

x(θ, a) is a forget metric of model θ under attack a, h(θ, a) a metric of its likelihoods of the forget text, u(θ, a) a
utility metric; T is the target, G the retrain model, and e(θ, k) the largest x that any attack elicits in k steps.

    says       F_says = 1 − max over forget metrics and attackers of A(e(θ) − e(G)) / A(e(T) − e(G)),
               A the area over the logarithm of k, up to where the retrain model itself has learnt the text (`families`)
    holds      F_holds = 1 − max over likelihood metrics and attacks of |h(θ, a) − h(G, a)| / (h(T, none) − h(G, a)),
               over attacks that do not train on the forget text
    forgetting F = min(F_says, F_holds)
    utility    U = min over utility metrics and deployed forms of clip((u − floor) / (ref − floor), 0, 1),
               ref = min(u(T, a), u(G, a))
    score      2·F·U / (F + U)

The retrain model gets the same attacks: relearning teaches any model, and quantisation costs any model utility. Scores
are absolute: they depend on the row, the target and the retrain model, never on other rows. Beside them stands the plain
worst case, 1 − max over attacks and forget metrics of clip((x(θ, a) − x(G, a)) / (x(T, none) − x(G, a)), 0, 1), which
was the forgetting of scorer 1: it tells what one budget brings back, and is the same for all rows once that is enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ...errors import RecordError
from ..record.attack_entry import AttackEntry
from ..record.attack_id import AttackId
from ..record.entry import Entry
from ..record.events import TIERS, Tier
from .board import Board, Row
from .external import joined, on_model
from .extremes import largest, smallest, spanning
from .families import Family, holds, says
from .measure import Design, Estimate, measure
from .relative import Controls, leakages, shares
from .stats import REPLICATES, Floats, Number, number, ranks

__all__ = ["MIN_CLUSTERS", "OVER_UNLEARNED", "SCORER_VERSION", "harmonic", "score"]

SCORER_VERSION = "2.0"

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
    found: Sequence[AttackEntry] = (),
) -> Board:
    """Score models against the target and the retrain model of their suite.

    Args:
        entries: the rows; target and retrain are added when absent.
        target: the model before unlearning, with items.
        retrain: the model that never saw the forget data, with items.
        replicates: number of bootstrap replicates.
        seed: seed of the bootstrap.
        least: the weakest tier that is ranked.
        found: attacks that others found on the models of rows; a row is ranked by the lower of its score under the
            suite's attacks and that with the verified ones added.

    Raises:
        RecordError: an anchor lacks items, target and retrain are the same weights, or a row is of another suite.
    """
    _check_anchors(target, retrain)
    design = Design.of(target, retrain, replicates, seed)
    anchors = measure(target, design), measure(retrain, design)
    controls = Controls.of(design, *anchors)
    listed = {entry.id: entry for entry in (*entries, target, retrain)}
    named = {attack.name: attack.id for attack in target.record.attacks}
    attacks = tuple(named[name] for name in design.attacks)
    scored = {
        key: _with_external(_row(entry, design, controls, attacks), target, retrain, found, design)
        for key, entry in listed.items()
    }
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
    said, envelopes = says(own, controls.target, controls.retrain, design, attacks)
    held, traces = holds(own, controls.target, controls.retrain, design, attacks)
    missing = tuple(
        " ".join(cell)
        for role in ("forget", "holds", "utility")
        for cell in design.cells(role)
        if cell not in own and cell in controls.target and cell in controls.retrain and cell not in controls.skipped
    )
    why = (
        f"partial: {len(missing)} cells missing" if missing else None if said.trace and kept else "no identifiable cell"
    )
    f_says, f_holds = _forgetting(said, why), _forgetting(held, why)
    plain = Number(None, why=why)
    numbers = (Number(None, why=why),) * 3
    draws, worst = None, None
    if why is None and said.trace is not None:
        families = [family for family in (said, held) if family.trace is not None]
        forgot = smallest(*_stack([_one_minus(family.trace) for family in families if family.trace is not None]))
        keep = smallest(*_stack(list(kept.values())))
        series = [
            (None, None, None)
            if f is None or u is None
            else (np.clip(f, 0, 1), np.clip(u, 0, 1), harmonic(np.clip(f, 0, 1), np.clip(u, 0, 1)))
            for f, u in ((forgot.fixed, keep.fixed), (forgot.tied, keep.tied))
        ]
        points = (forgot.point, keep.point, float(harmonic(forgot.point, keep.point)))
        one, two, three = (spanning(points[i], series[0][i], series[1][i]) for i in range(3))
        numbers = (one, two, three)
        draws = series[0][2]
        decides = families[forgot.index]
        worst = decides.worst if forgot.point < 1 else None
        plain = _worst_case(list(leaks.values()), design.replicates)
    return Row(
        entry=entry,
        forgetting=forgetting,
        held=traces,
        utilities=utilities,
        says=f_says,
        holds=f_holds,
        worst_case=plain,
        robust_forgetting=numbers[0],
        utility=numbers[1],
        score=numbers[2],
        worst=worst,
        missing=missing,
        over_unlearned=tuple(
            f.cell for f in forgetting if f.leakage.high is not None and f.leakage.high < OVER_UNLEARNED
        ),
        envelopes=envelopes,
        replicates=draws,
    )


def _with_external(row: Row, target: Entry, retrain: Entry, found: Sequence[AttackEntry], design: Design) -> Row:
    """Score the row with the attacks of others added, all of them and the verified ones."""

    def under(attacks: Sequence[AttackEntry]) -> Row | None:
        if not attacks:
            return None
        own, *anchors = (
            joined(entry, [attack.parts[role] for attack in attacks])
            for entry, role in ((row.entry, "model"), (target, "target"), (retrain, "retrain"))
        )
        board = score([own], anchors[0], anchors[1], replicates=design.replicates, seed=design.seed)
        return next(other for other in board.rows if other.entry.id == row.entry.id)

    reported = under(on_model(row.entry, found, verified=False))
    external = under(on_model(row.entry, found, verified=True))
    row = replace(row, reported=reported.score if reported else None, external=external.score if external else None)
    if external is not None and row.ranking is row.external:
        return replace(row, replicates=external.replicates, worst=external.worst)
    return row


def _one_minus(trace: Estimate) -> Estimate:
    return Estimate(1 - trace.point, None if trace.replicates is None else 1 - trace.replicates)


def _forgetting(family: Family, why: str | None) -> Number:
    """1 − the worst of a family, with its interval."""
    if family.trace is None or why is not None:
        return Number(None, why=why or "not identifiable: target and retrain are too close, or nothing is measured")
    rest = _one_minus(family.trace)
    return number(rest.point, rest.replicates)


def _worst_case(leaks: Sequence[Estimate], replicates: int) -> Number:
    """1 − the largest leakage of a cell; nothing leaks less than nothing, so 0 competes with every cell."""
    leak = largest(*_stack([Estimate(0.0, np.zeros(replicates)), *(leak.clipped() for leak in leaks)]))
    forgot = [None if series is None else 1 - np.clip(series, 0, 1) for series in (leak.fixed, leak.tied)]
    return spanning(1 - leak.point, *forgot)


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
    if clusters < MIN_CLUSTERS:
        return f"the suite has {clusters} clusters, {MIN_CLUSTERS} are needed to rank"
    if row.score.value is None:
        return row.score.why
    if row.replicates is None:
        return "no item file"
    if TIERS.index(standing.tier) < TIERS.index(least):
        return standing.tier.replace("_", " ")
    return None


def _ranked(rows: Sequence[Row]) -> list[Row]:
    chosen = [row for row in rows if row.unranked is None]
    if not chosen:
        return list(rows)
    points = np.array([row.ranking.value for row in chosen], dtype=float)
    draws = np.stack([row.replicates for row in chosen if row.replicates is not None], axis=1)
    draws = np.where(np.isfinite(draws), draws, points)
    place = dict(zip((row.entry.id for row in chosen), ranks(points, draws), strict=True))
    return [replace(row, rank=place.get(row.entry.id)) for row in rows]


def _ordered(rows: Sequence[Row]) -> list[Row]:
    """By score, undefined last; equal scores by name and id, so that the order never depends on the input's."""
    return sorted(
        rows,
        key=lambda row: (
            row.ranking.value is None,
            -(row.ranking.value or 0.0),
            row.record.display_name,
            row.entry.id,
        ),
    )
