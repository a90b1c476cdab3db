"""Has a candidate's robustness regressed against a baseline? Documents are paired, whole clusters resampled.

For each gated metric, w is how much worse the candidate is, and [low, high] its one-sided 1 − α bounds:

    regressed     worse by more than chance (Holm over all metrics), and high ≥ margin
    held          high < margin: surely no worse than the margin
    improved      held, and better than chance by at least the margin: the baseline is out of date
    inconclusive  neither: the documents cannot tell; says what change they could show, and how many would be needed
    invalid       the two records cannot be compared at all, or one of them is not valid on its own

Certainty is never taken from silence: with fewer than `MIN_CLUSTERS` clusters a metric is inconclusive, and so is a change
that is the same in every cluster, from which no chance can be computed, unless it is a loss of at least the margin. Only
items that are equal document by document are held without spread.

    from robust_unlearn_bench.leaderboard import gate
    result = gate.check("baseline/", "candidate/", "gate.toml")
    assert result.ok, result.summary()
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ...errors import RecordError, RubError
from ...metrics.bootstrap import cluster_draws
from ..record.entry import Entry, load
from ..record.items import Items, Value
from ..record.schema import run_id
from ..scoring.scorer import MIN_CLUSTERS
from ..scoring.stats import Floats, Moments, holm, seed_draws
from .config import LEAST_RUNS, Calibration, Gate, Gated, read_gate, worse_direction
from .pairing import aligned, column_of, incomparable, reported
from .result import ORDER, Check, Result, Verdict

__all__ = ["calibrate", "check", "mcnemar"]

_CELLS = 20_000_000  # of the matrix of draws: 160 MB

NO_SPREAD = 1e-9
"""Standard error below which replicates are taken for equal."""


def check(
    baseline: Entry | Path | str, candidate: Entry | Path | str, config: Gate | Path | str, *, seed: int = 0
) -> Result:
    """Compare a candidate with a baseline.

    Args:
        baseline: record folder or file, or a loaded entry.
        candidate: the same.
        config: a gate, or the TOML file that describes it.
        seed: of the bootstrap.

    Raises:
        ConfigError: the configuration is wrong. Records that are wrong give an invalid result instead.
    """
    gate, calibration = read_gate(Path(config)) if isinstance(config, (str, Path)) else (config, None)
    names = [_name(side) for side in (baseline, candidate)]
    try:
        old, new = (side if isinstance(side, Entry) else load(Path(side)) for side in (baseline, candidate))
    except RubError as error:
        return Result(names[0], names[1], (), (str(error),), gate.inconclusive)
    names = [old.record.display_name, new.record.display_name]
    if errors := incomparable(old, new, gate, calibration):
        return Result(names[0], names[1], (), tuple(errors), gate.inconclusive)
    raw = [_measure(old, new, gated, gate, calibration, seed) for gated in gate.metric]
    adjusted = holm([item.p for item in raw])
    checks = [_decide(item, float(p), gate.alpha) for item, p in zip(raw, adjusted, strict=True)]
    checks.sort(key=lambda c: (ORDER.index(c.verdict), -c.worse_by / c.gated.margin, c.gated.cell))
    return Result(names[0], names[1], tuple(checks), (), gate.inconclusive)


def calibrate(runs: Sequence[Entry], gate: Gate) -> Calibration:
    """Run-to-run standard deviation of every gated metric, from records of one model measured several times.

    Raises:
        RecordError: fewer than five runs, other models or suites, or a run lacks a metric.
    """
    if len(runs) < LEAST_RUNS:
        raise RecordError(f"{len(runs)} runs cannot show how repeatable a metric is; give at least {LEAST_RUNS}")
    suites = sorted({(e.record.suite.name, e.record.suite.version) for e in runs})
    if len(suites) > 1:
        raise RecordError(f"the runs are of different suites ({suites}); calibrate each on its own")
    models = {e.record.model.fingerprint for e in runs} - {None}
    if len(models) > 1:
        raise RecordError(f"the runs are of {len(models)} different models; measure one model {LEAST_RUNS} times")
    sd = {}
    for gated in gate.metric:
        values = [reported(entry, gated) for entry in runs]
        if any(value is None for value in values):
            raise RecordError(f"a run lacks {gated.cell}; rerun it, or take the metric out of the configuration")
        sd[gated.cell] = float(np.std([v for v in values if v is not None], ddof=1))
    return Calibration(suite=list(suites[0]), runs=len(runs), sd=sd)


def mcnemar(baseline: Sequence[float], candidate: Sequence[float]) -> float:
    """Exact two-sided p-value that as many 0/1 items went up as down: binomial over the discordant pairs.

    Source: McNemar, 1947, "Note on the sampling error of the difference between correlated proportions".
    """
    up = sum(b > a for a, b in zip(baseline, candidate, strict=True))
    down = sum(b < a for a, b in zip(baseline, candidate, strict=True))
    n = up + down
    tail = sum(math.comb(n, i) for i in range(min(up, down) + 1))
    return min(1.0, float(2 * tail / 2**n))


def _measure(old: Entry, new: Entry, gated: Gated, gate: Gate, calibration: Calibration | None, seed: int) -> Check:
    """Everything but the verdict; `p` is not adjusted yet."""
    from scipy.special import stdtr, stdtrit

    sign = 1.0 if worse_direction(old.record.suite.tasks[gated.task].metrics[gated.metric]) == "up" else -1.0
    theirs, ours = old.items[gated.task], aligned(new.items[gated.task], old.items[gated.task])
    before, draws_before, clusters = _values(theirs, old, gated, seed)
    after, draws_after, _ = _values(ours, new, gated, seed)
    worse = sign * (after - before)
    error = float(np.nanstd(draws_after - draws_before, ddof=1))
    sd = calibration.sd.get(gated.cell) if calibration else None
    error = math.sqrt(error**2 + 2 * (sd or 0.0) ** 2)
    freedom = max(clusters - 1, 1)
    quantile = float(stdtrit(freedom, 1 - gate.alpha))
    detectable = (quantile + float(stdtrit(freedom, gate.power))) * error
    low, high, p = worse - quantile * error, worse + quantile * error, 1.0
    needed = math.ceil(len(ours) * (detectable / gated.margin) ** 2)
    notes = [] if calibration is None or sd is not None else ["not calibrated"]
    if clusters < MIN_CLUSTERS:
        low, high, detectable, needed = -1.0, 1.0, 1.0, math.ceil(len(ours) * MIN_CLUSTERS / clusters)
        notes.append(f"{clusters} clusters, at least {MIN_CLUSTERS} are needed")
    elif error > NO_SPREAD:
        p = float(stdtr(freedom, -worse / error))
    elif _equal(theirs, ours, gated):
        notes.append("every item equals the baseline's")
    else:
        notes.append("the change is the same in every cluster")
        if worse >= gated.margin:
            p = 0.5**clusters  # the sign test over clusters is all that is left
        else:
            low, high, detectable, needed = -1.0, 1.0, 1.0, len(ours)
    return Check(
        gated=gated,
        verdict="inconclusive",
        baseline=before,
        candidate=after,
        worse_by=worse,
        low=low,
        high=high,
        p=p,
        detectable=detectable,
        documents=len(ours),
        clusters=clusters,
        needed=needed,
        mcnemar=_mcnemar(theirs, ours, gated),
        note="; ".join(notes),
    )


def _decide(item: Check, p: float, alpha: float) -> Check:
    verdict: Verdict = "inconclusive"
    if item.high < item.gated.margin:
        verdict = "improved" if item.high < 0 and item.worse_by <= -item.gated.margin else "held"
    elif p <= alpha:
        verdict = "regressed"
    return replace(item, verdict=verdict, p=p)


def _values(items: Items, entry: Entry, gated: Gated, seed: int) -> tuple[float, Floats, int]:
    """Point, replicates and number of clusters, attack seeds averaged."""
    runs = [run_id(a.name, a.seed) for a in entry.record.attacks if a.name == gated.attack]
    moments = Moments.of(items, [gated.metric])
    replicates = max(200, min(2000, _CELLS // max(len(moments.clusters), 1)))
    points, values = moments.point(), moments.values(cluster_draws(moments.clusters, moments.strata, replicates, seed))
    stacked = np.stack([values[run, gated.metric] for run in runs], axis=1)
    weights = seed_draws(gated.attack, len(runs), replicates, seed)
    point = float(np.mean([points[run, gated.metric][0] for run in runs]))
    return point, (weights * stacked).sum(axis=1), len(moments.clusters)


def _equal(old: Items, new: Items, gated: Gated) -> bool:
    """Whether every run of the attack gave the same value on every document."""
    columns = column_of(old, gated).scores
    return all(new.scores.get(key) == column for key, column in columns.items())


def _mcnemar(old: Items, new: Items, gated: Gated) -> float | None:
    a, b = (items.scores.get((gated.attack, gated.metric), ()) for items in (old, new))
    pairs = [(x, y) for x, y in zip(a, b, strict=True) if _binary(x) and _binary(y)]
    if not pairs or len(pairs) < len(a):
        return None
    return mcnemar([float(x) for x, _ in pairs], [float(y) for _, y in pairs])  # type: ignore[arg-type]  # 0 or 1


def _binary(value: Value) -> bool:
    return value == 0 or value == 1


def _name(side: Entry | Path | str) -> str:
    return side.record.display_name if isinstance(side, Entry) else str(side)
