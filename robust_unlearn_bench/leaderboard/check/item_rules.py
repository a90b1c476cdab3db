"""What a value in an item file may be: the type and range of its metric, in as many documents as the suite's target has.

An item file is a claim. Its values cannot be proven without running the model again, but values that no run can give are
refused: numbers outside the range of their metric, components that the metric does not have, and documents left unscored
that the target answers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ..record.entry import Entry
from ..record.items import Items, Value
from ..record.schema import Task
from ..scoring.measure import SCORED_ROLES
from .finding import Finding

__all__ = ["implausible_values", "unlike_target"]

LARGEST = 1e6
"""Largest absolute value of a metric that has no range of its own, such as a loss."""

_BINARY = frozenset({"acc", "acc_norm", "exact_match"})
"""Metrics that are right or wrong on each document."""


def implausible_values(entry: Entry) -> Iterator[Finding]:
    """Find columns that the record does not report, and values that their metric cannot take."""
    for name, items in entry.items.items():
        task = entry.record.suite.tasks[name]
        for (run, metric), column in items.scores.items():
            where = f"{name}.jsonl {run} {metric}"
            if metric not in task.metrics or run not in entry.record.runs:
                yield Finding("error", where, "the record reports no such run or metric; build both from one run")
                continue
            if len({isinstance(value, Mapping) for value in column if value is not None}) > 1:
                yield Finding("error", where, "numbers on some documents, components on others: a metric has one form")
            low, high = _range(task, metric)
            for line, number in _numbers(column):
                if not low <= number <= high:
                    yield Finding("error", f"{where} line {line}", f"{number:g} is not within {low:g} and {high:g}")
                    break
                if metric in _BINARY and number not in (0, 1):
                    yield Finding("error", f"{where} line {line}", f"{number:g}: this metric is 0 or 1")
                    break


def unlike_target(
    task: Task, items: Items, target: Items, whose: str = "the suite's target"
) -> Iterator[tuple[str, str]]:
    """Find scored columns whose values have another form than the target's.

    Args:
        task: the task as the suite describes it.
        items: items of the task, of the same documents in the same order as the target's.
        target: the target's items.
        whose: what the other items are called in messages.

    Yields:
        (place, message) for the first such document of each column: a number where the target has components or null,
        null where it has a number, other components.
    """
    for (run, metric), theirs in target.scores.items():
        column = items.scores.get((run, metric))
        if column is None or metric not in task.metrics or task.metrics[metric].role not in SCORED_ROLES:
            continue
        for line, (ours, known) in enumerate(zip(column, theirs, strict=False), start=1):
            if _form(ours) != _form(known):
                yield f"{run} {metric} line {line}", f"{_words(ours)}, where {whose} has {_words(known)}"
                break


def _range(task: Task, metric: str) -> tuple[float, float]:
    spec = task.metrics[metric]
    if spec.aggregate == "familiarity":  # nats
        return 0.0, LARGEST
    return (0.0, 1.0) if spec.role in SCORED_ROLES else (-LARGEST, LARGEST)


def _numbers(column: Sequence[Value]) -> Iterator[tuple[int, float]]:
    """(line, number) of everything that is scored, components one by one."""
    for line, value in enumerate(column, start=1):
        for number in value.values() if isinstance(value, Mapping) else (value,):
            if number is not None:
                yield line, number


def _form(value: Value) -> object:
    """What stays the same between models: whether a document is scored, and on which components."""
    if isinstance(value, Mapping):
        return {name: number is None for name, number in value.items()}
    return value is None


def _words(value: Value) -> str:
    if isinstance(value, Mapping):
        scored = sorted(name for name, number in value.items() if number is not None)
        return f"the components {', '.join(scored) or 'none'}"
    return "null" if value is None else "a number"
