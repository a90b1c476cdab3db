"""The two families of forgetting: what can be got out of a model (says), and what its likelihoods still show (holds).

Every maximum is cross-fitted: the attack, metric or budget that looks worst is chosen on one half of the clusters and
read on the other, both ways round, and the two readings are averaged. So the largest of many noisy numbers does not
flatter the attacker, and never-saw models come out near 0 whatever the number of attacks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..record.attack_id import AttackId
from .measure import Cell, Design, Estimate, Measured
from .stats import Floats, Number, number

__all__ = ["Attacker", "Envelope", "Family", "Held", "holds", "readers", "says"]

IDENTIFIABLE = 3.0
"""A gap between target and retrain model below this many standard errors is not clear."""

LEARNT = 0.5
"""Share of the gap to the target at which the retrain model itself has learnt the text; larger budgets do not count."""

Attacker = Literal["with the text", "without the text"]
"""Whether the attacker may train on the text that is then asked for."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """The most that any attack elicits within a budget, by one metric.

    Attributes:
        task: task of the metric.
        metric: the metric.
        attacker: which attacks are among them.
        budgets: optimizer steps, ascending from 0.
        row: largest value of the row within each budget.
        target: the same of the target.
        retrain: the same of the retrain model.
        attacks: name of the row's worst attack within each budget.
        counted: number of budgets, from the first, that enter the savings.
        savings: share of the work of learning that the row saves the attacker, cross-fitted.
        identifiable: whether target and retrain model are clearly apart; if not, it counts for no row.
    """

    task: str
    metric: str
    attacker: Attacker
    budgets: tuple[int, ...]
    row: tuple[float, ...]
    target: tuple[float, ...]
    retrain: tuple[float, ...]
    attacks: tuple[str, ...]
    counted: int
    savings: Number
    identifiable: bool

    @property
    def telling(self) -> int:
        """Index of the budget within which the row is furthest above the retrain model."""
        return int(np.argmax(np.subtract(self.row, self.retrain)[: self.counted]))

    def half(self, values: Sequence[float]) -> float | None:
        """Budget at which `values` reach the middle between retrain model and target, unattacked; None when they do not."""
        middle = (self.retrain[0] + self.target[0]) / 2
        places = _places(self.budgets)
        for i, value in enumerate(values):
            if value < middle:
                continue
            if i == 0:
                return 0.0
            share = (middle - values[i - 1]) / (value - values[i - 1])
            return float(2 ** (places[i - 1] + share * (places[i] - places[i - 1])))
        return None


@dataclass(frozen=True, slots=True)
class Held:
    """One metric of the holds family under one attack.

    Attributes:
        cell: the metric and the attack.
        value: x(θ, a), or None when the record lacks it.
        target: x(T, none).
        retrain: x(G, a).
        deviation: (x(θ, a) − x(G, a)) / (x(T, none) − x(G, a)): 0 as the retrain model, 1 as the target, and a trace in
            either direction.
        identifiable: whether target and retrain model are clearly apart; if not, it counts for no row.
    """

    cell: Cell
    value: float | None
    target: float
    retrain: float
    deviation: Number
    identifiable: bool


@dataclass(frozen=True, slots=True)
class Family:
    """The worst of a family.

    Attributes:
        trace: cross-fitted worst case, 0 as the retrain model and 1 as the target, with replicates; None when nothing
            is identifiable or measured.
        worst: the cell that is worst on all documents.
    """

    trace: Estimate | None
    worst: Cell | None


def readers(attacks: Sequence[AttackId]) -> dict[Attacker, list[AttackId]]:
    """The attacks of each attacker whose budget in steps is known."""
    known = [a for a in attacks if a.steps is not None]
    return {
        "with the text": [a for a in known if "half" not in a.trains_on],
        "without the text": [a for a in known if "forget" not in a.trains_on],
    }


# --- says ----------------------------------------------------------------------------------------------------------


def says(
    own: Measured, target: Measured, retrain: Measured, design: Design, attacks: Sequence[AttackId]
) -> tuple[Family, tuple[Envelope, ...]]:
    """Savings of every metric of role "forget" for both attackers, and the largest of them.

    For a budget k let e(θ, k) be the largest value of the metric within it. With the budgets on a logarithmic axis (no
    step at all counts as half of the smallest budget), and A the area under a curve up to the first budget at which the
    retrain model has learnt half of the gap itself,

        savings = A(e(θ) − e(G)) / A(e(T) − e(G)).
    """
    found: list[_Savings] = []
    shown: list[Envelope] = []
    for task, metric in (key for key, spec in design.metrics.items() if spec.role == "forget"):
        for attacker, members in readers(attacks).items():
            cells = [Cell(task, metric, a.name) for a in members]
            usable = [i for i, cell in enumerate(cells) if cell in target and cell in retrain and cell in own]
            if not usable or Cell(task, metric, "none") not in own:
                continue
            steps = np.array([members[i].steps or 0 for i in usable])
            if attacker == "without the text" and not steps.any():
                continue
            tables = [_Table.of([model[cells[i]] for i in usable]) for model in (own, target, retrain)]
            one = _Savings.of(task, metric, attacker, [cells[i].attack for i in usable], steps, *tables)
            shown.append(one.shown)
            if one.shown.identifiable:
                found.append(one)
    if not found:
        return Family(None, None), tuple(shown)
    trace = _crossed(
        [[one.inside[h] for one in found] for h in (0, 1)], [[one.outside[h] for one in found] for h in (0, 1)]
    )
    top = max(found, key=lambda one: one.shown.savings.value or 0.0).shown
    return Family(trace, Cell(top.task, top.metric, top.attacks[top.telling])), tuple(shown)


@dataclass(frozen=True, slots=True)
class _Table:
    """One metric under A attacks: points [A] and replicates [A, B], whole and on either half of the clusters."""

    whole: Floats
    halves: tuple[Floats, Floats]
    draws: tuple[Floats, Floats] | None

    @classmethod
    def of(cls, estimates: Sequence[Estimate]) -> _Table:
        whole = np.array([e.point for e in estimates])
        parts = [e.halves or (e, e) for e in estimates]
        points = tuple(np.array([pair[h].point for pair in parts]) for h in (0, 1))
        series = [[pair[h].replicates for pair in parts] for h in (0, 1)]
        known = [np.stack([d for d in half if d is not None]) for half in series if all(d is not None for d in half)]
        return cls(whole, (points[0], points[1]), (known[0], known[1]) if len(known) == 2 else None)


@dataclass(frozen=True, slots=True)
class _Savings:
    """Savings of one metric: read on the half that chose the attacks (`inside`), and on the other (`outside`)."""

    shown: Envelope
    inside: tuple[Estimate, Estimate]
    outside: tuple[Estimate, Estimate]

    @classmethod
    def of(
        cls,
        task: str,
        metric: str,
        attacker: Attacker,
        names: Sequence[str],
        steps: Floats,
        own: _Table,
        target: _Table,
        retrain: _Table,
    ) -> _Savings:
        budgets = tuple(int(k) for k in sorted({0, *steps}))
        models = (own, target, retrain)
        chosen = [_worst_within(budgets, steps, model.whole) for model in models]
        rows = [model.whole[at] for model, at in zip(models, chosen, strict=True)]
        weights, counted = _weights(budgets, rows[1], rows[2])

        def ratio(curves: Sequence[Floats]) -> Floats:
            theta, top, base = curves
            with np.errstate(invalid="ignore", divide="ignore"):
                part: Floats = np.tensordot(weights, theta - base, 1) / np.tensordot(weights, top - base, 1)
            return part

        def read(chooser: int, reader: int) -> Estimate:
            point = float(ratio([_chosen(budgets, steps, m.halves[chooser], m.halves[reader]) for m in models]))
            draws = [_chosen(budgets, steps, m.draws[chooser], m.draws[reader]) for m in models if m.draws is not None]
            return Estimate(point, ratio(draws) if len(draws) == len(models) else None)

        outside = read(0, 1), read(1, 0)
        gap = _gap(weights, models, chosen)
        both = _mean(outside)
        return cls(
            Envelope(
                task=task,
                metric=metric,
                attacker=attacker,
                budgets=budgets,
                row=tuple(map(float, rows[0])),
                target=tuple(map(float, rows[1])),
                retrain=tuple(map(float, rows[2])),
                attacks=tuple(names[i] for i in chosen[0]),
                counted=counted,
                savings=number(both.point, both.replicates),
                identifiable=_clear(gap),
            ),
            (read(0, 0), read(1, 1)),
            outside,
        )


def _worst_within(budgets: Sequence[int], steps: Floats, values: Floats) -> list[int]:
    """Index of the attack with the largest value within each budget."""
    return [int(np.argmax(np.where(steps <= k, values, -np.inf))) for k in budgets]


def _chosen(budgets: Sequence[int], steps: Floats, chooser: Floats, reader: Floats) -> Floats:
    """Within each budget, what `reader` gives the attack that is worst in `chooser`, replicate by replicate.

    [A] and [A], or [A, B] and [A, B], → [K] or [K, B]. Choosing anew in every replicate puts the uncertainty of the choice
    into the interval.
    """
    apart = steps.reshape(-1, *(1,) * (chooser.ndim - 1))
    rows = []
    for k in budgets:
        at = np.argmax(np.where(apart <= k, chooser, -np.inf), axis=0)
        rows.append(np.take_along_axis(reader, at[None, ...], axis=0)[0])
    return np.stack(rows)


def _places(budgets: Sequence[int]) -> Floats:
    """Positions of ascending budgets on the logarithmic axis; 0 lies one doubling before the smallest other one."""
    first = next((k for k in budgets if k > 0), 1)
    return np.log2([k or first / 2 for k in budgets])


def _weights(budgets: Sequence[int], target: Floats, retrain: Floats) -> tuple[Floats, int]:
    """Weights of the trapezoidal rule up to the budget at which the retrain model has learnt the text, and their number."""
    learnt = np.flatnonzero(retrain > retrain[0] + LEARNT * (target[0] - retrain[0]))
    counted = max(int(learnt[0]) if len(learnt) else len(budgets), 1)
    weights = np.zeros(len(budgets))
    places = _places(budgets)[:counted]
    if counted == 1:
        weights[0] = 1.0
    else:
        width = np.diff(places) / 2
        weights[: counted - 1] += width
        weights[1:counted] += width
    return weights / weights.sum(), counted


def _gap(weights: Floats, models: Sequence[_Table], chosen: Sequence[list[int]]) -> Estimate:
    """Area between target and retrain model."""
    _, target, retrain = models
    point = float(weights @ (target.whole[chosen[1]] - retrain.whole[chosen[2]]))
    if target.draws is None or retrain.draws is None:
        return Estimate(point, None)
    draws = [(t[chosen[1]] - r[chosen[2]]) for t, r in zip(target.draws, retrain.draws, strict=True)]
    return Estimate(point, np.tensordot(weights, sum(draws) / 2, 1))


# --- holds ---------------------------------------------------------------------------------------------------------


def holds(
    own: Measured, target: Measured, retrain: Measured, design: Design, attacks: Sequence[AttackId]
) -> tuple[Family, tuple[Held, ...]]:
    """Deviations of every metric of role "holds" from the retrain model, and the largest of them in either direction.

    They are read unattacked and under attacks that do not train on the forget text: an attack that does makes anybody a
    knower of it.
    """
    found: list[tuple[Cell, Estimate]] = []
    shown: list[Held] = []
    members = readers(attacks)["without the text"]
    for task, metric in (key for key, spec in design.metrics.items() if spec.role == "holds"):
        known = target.get(Cell(task, metric, "none"))
        for cell in (Cell(task, metric, a.name) for a in members):
            base, mine = retrain.get(cell), own.get(cell)
            if known is None or base is None:
                continue
            gap = _combined(known, base, np.subtract)
            clear = _clear(gap)
            part = _combined(_combined(mine, base, np.subtract), gap, _divided) if mine is not None else None
            if not clear:
                text = number(part.point if part else None, None, "not identifiable: target and retrain are too close")
            else:
                text = number(part.point, part.replicates) if part else Number(None, why="not measured")
            shown.append(Held(cell, mine.point if mine else None, known.point, base.point, text, clear))
            if clear and part is not None:
                found.append((cell, part))
    if not found:
        return Family(None, None), tuple(shown)
    pairs = [part.halves or (part, part) for _, part in found]
    signed = [[(pair[h], -1.0 if pair[1 - h].point < 0 else 1.0) for pair in pairs] for h in (0, 1)]
    # the sign comes from the half that chooses: read on half h, signed by the other
    outside = [[_scaled(part, sign) for part, sign in signed[h]] for h in (1, 0)]
    inside = [[_scaled(pair[h], -1.0 if pair[h].point < 0 else 1.0) for pair in pairs] for h in (0, 1)]
    worst = max(found, key=lambda entry: abs(entry[1].point))[0]
    return Family(_crossed(inside, outside), worst), tuple(shown)


# --- cross-fitting -------------------------------------------------------------------------------------------------


def _crossed(inside: Sequence[Sequence[Estimate]], outside: Sequence[Sequence[Estimate]]) -> Estimate:
    """Choose the largest of `inside[h]`, read it in `outside[h]`, for both halves h, and average, clipped to [0, 1]."""
    return _mean((_pick(inside[0], outside[0]), _pick(inside[1], outside[1]))).clipped()


def _pick(inside: Sequence[Estimate], outside: Sequence[Estimate]) -> Estimate:
    """What `outside` gives the largest of `inside`, in the points and replicate by replicate."""
    point = outside[int(np.argmax([e.point for e in inside]))].point
    ours, theirs = ([e.replicates for e in side if e.replicates is not None] for side in (inside, outside))
    if len(ours) < len(inside) or len(theirs) < len(outside):
        return Estimate(point, None)
    at = np.argmax(np.nan_to_num(np.stack(ours), nan=-np.inf), axis=0)
    return Estimate(point, np.take_along_axis(np.stack(theirs), at[None, :], axis=0)[0])


def _mean(pair: tuple[Estimate, Estimate]) -> Estimate:
    one, other = pair
    if one.replicates is None or other.replicates is None:
        return Estimate((one.point + other.point) / 2, None)
    return Estimate((one.point + other.point) / 2, (one.replicates + other.replicates) / 2)


def _scaled(estimate: Estimate, by: float) -> Estimate:
    return Estimate(estimate.point * by, None if estimate.replicates is None else estimate.replicates * by)


def _combined(a: Estimate, b: Estimate, how: Callable[[Floats, Floats], Floats]) -> Estimate:
    """`how` of points, of replicates, and of the halves."""
    draws = None if a.replicates is None or b.replicates is None else how(a.replicates, b.replicates)
    halves = None
    if a.halves is not None and b.halves is not None:
        halves = (_combined(a.halves[0], b.halves[0], how), _combined(a.halves[1], b.halves[1], how))
    return Estimate(float(how(np.float64(a.point), np.float64(b.point))), draws, halves)  # type: ignore[arg-type]  # scalars


def _divided(part: Floats, whole: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        result: Floats = part / whole
    return result


def _clear(gap: Estimate) -> bool:
    if gap.point <= 0 or gap.replicates is None:
        return False
    defined = gap.replicates[np.isfinite(gap.replicates)]
    return len(defined) > 1 and gap.point >= IDENTIFIABLE * float(np.std(defined, ddof=1))
