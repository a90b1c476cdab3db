"""A record on its own: do its numbers follow from its items, and could a run have given them?

The leaderboard checks submissions with this, and the gate both sides of a comparison.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ...errors import RubError
from ..record.entry import Entry
from ..record.items import Value, aggregate
from ..record.schema import MetricSpec, Record, run_id
from .attack_rules import own_attacks
from .finding import Finding
from .item_rules import implausible_values

if TYPE_CHECKING:
    from ...suites import Metric

__all__ = ["TOLERANCE", "inconsistent"]

TOLERANCE = 1e-6
"""Largest difference between a reported number and the one that its items give."""


def inconsistent(entry: Entry) -> Iterator[Finding]:
    """Find numbers that the items do not give, documents that were not counted, and values that no run can give."""
    record = entry.record
    for name, task in record.suite.tasks.items():
        items = entry.items.get(name)
        if items is None:
            yield Finding("label", f"suite.tasks.{name}.items", "no item file: its numbers cannot be recomputed")
        elif len(items) != task.n:
            yield Finding("error", f"suite.tasks.{name}.n", f"{task.n}, but the item file has {len(items)} documents")
    for i, result in enumerate(record.results):
        items, run = entry.items.get(result.task), run_id(result.attack, result.seed)
        spec = record.suite.tasks[result.task].metrics[result.metric]
        if items is None or spec.role == "report":  # not scored, and not carried by the item files
            continue
        column = items.scores.get((run, result.metric))
        field = f"results.{i} ({result.task} {result.metric} {run})"
        if column is None:
            yield Finding("error", field, "the item file has no such column; rebuild both from one run")
            continue
        scored = sum(value is not None for value in column)
        if scored != result.n:
            yield Finding("error", f"{field}.n", f"{result.n}, but {scored} items are scored")
        try:
            again = _recompute(column, spec, result.task, result.metric, record)
        except _Unknown:
            continue
        if (again is None) != (result.value is None) or (
            again is not None and result.value is not None and abs(again - result.value) > TOLERANCE
        ):
            yield Finding("error", f"{field}.value", f"{result.value}, but its items give {again}")
    yield from implausible_values(entry)
    yield from own_attacks(record)
    yield from _other_suite(record)


class _Unknown(Exception):
    """The suite that knows how to aggregate this metric is not installed."""


def _recompute(column: Sequence[Value], spec: MetricSpec, task: str, metric: str, record: Record) -> float | None:
    if spec.aggregate != "other":
        return aggregate(column)
    from ...suites import SUITES

    try:
        leaf = SUITES[record.suite.name].leaf(task.removeprefix(record.suite.name + "_"))
        known = next(m for m in leaf.metrics if m.name == metric)
        value = float(known.aggregate([entry for entry in column if entry is not None]))
    except (RubError, StopIteration, ImportError) as error:
        raise _Unknown from error
    except (ArithmeticError, ValueError, TypeError, KeyError):
        return None
    return value if value == value else None


def _other_suite(record: Record) -> Iterator[Finding]:
    """Find metrics that are read otherwise than the installed suite reads them; nothing for a suite that is not installed."""
    for task, described in record.suite.tasks.items():
        for metric, spec in described.metrics.items():
            known = _declared(record, task, metric)
            if known is not None and (spec.role, spec.higher_means) != (known.role, known.higher_means):
                where, ours = f"suite.tasks.{task}.metrics.{metric}", f"{spec.role}, {spec.higher_means}"
                yield Finding("error", where, f"{ours}; the suite says {known.role}, {known.higher_means}")


def _declared(record: Record, task: str, metric: str) -> Metric | None:
    """The metric as the installed suite of this version declares it, or None."""
    from ...suites import SUITES

    try:
        suite = SUITES[record.suite.name]
        if suite.version != record.suite.version:
            return None
        leaf = suite.leaf(task.removeprefix(record.suite.name + "_"))
    except (RubError, ImportError):
        return None
    return next((known for known in leaf.metrics if known.name == metric), None)
