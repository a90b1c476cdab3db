"""What the records of three models say about the attack that they were put under."""

from __future__ import annotations

from typing import Any, NamedTuple

from ...errors import RecordError
from ..record.attack_record import Leaked, Span
from ..record.entry import Entry
from ..record.schema import Attack, run_id
from ..scoring.attack_leakage import REPORTS, SELECTS, Leak, Metric, Reading, kept, leaks, worst
from ..scoring.stats import Number

__all__ = ["Figures", "attack_figures", "found_attack"]


class Figures(NamedTuple):
    """The numbers of an attack's record.

    Attributes:
        leaked: every forget metric on the half of the clusters that reports, where the one that is largest on the other
            half is marked.
        utility: share of the unattacked model's utility that is left.
    """

    leaked: list[Leaked]
    utility: Span


def found_attack(entry: Entry) -> Attack:
    """The attack of a record that was measured unattacked and under one attack.

    Raises:
        RecordError: it was put under several.
    """
    others = [attack for attack in entry.record.attacks if attack.name != "none"]
    if len(others) > 1:
        raise RecordError(
            f"{entry.record.display_name!r} was put under {len(others)} attacks: measure one attack at a time"
        )
    return (others or entry.record.attacks)[0]


def attack_figures(model: Entry, target: Entry, retrain: Entry) -> Figures:
    """Compute the numbers from the items.

    Raises:
        RecordError: a record lacks items, or the models answered different documents.
    """
    attack = found_attack(model)
    run = run_id(attack.name, attack.seed)
    metrics = _metrics(model, "forget")
    states = Reading(model.items, run), Reading(retrain.items, run), Reading(target.items, "none")
    untouched = Reading(retrain.items, "none")
    chosen = worst(leaks(list(metrics), *states, untouched, SELECTS))
    found = leaks(list(metrics), *states, untouched, REPORTS)
    left = kept(_metrics(model, "utility"), Reading(model.items, run), Reading(model.items, "none"))
    return Figures([_leaked(leak, chosen) for leak in found], _span(left))


def _metrics(entry: Entry, role: str) -> dict[Metric, float]:
    """Metrics of a role that can be resampled, with their floors."""
    return {
        (task, metric): spec.floor
        for task, described in entry.record.suite.tasks.items()
        for metric, spec in described.metrics.items()
        if spec.role == role and spec.aggregate != "other"
    }


def _leaked(leak: Leak, chosen: Leak | None) -> Leaked:
    facts: dict[str, Any] = {
        name: getattr(leak, name) for name in ("task", "metric", "model", "retrain", "target", "counts")
    }
    same = chosen is not None and (leak.task, leak.metric) == (chosen.task, chosen.metric)
    return Leaked(**facts, leakage=_span(leak.leakage), chosen=same)


def _span(number: Number) -> Span:
    return Span(value=number.value, low=number.low, high=number.high)
