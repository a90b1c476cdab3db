"""What a suite's standard set consists of: the order of its tasks and attacks, and what of it is missing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ...errors import UnknownNameError
from .lmeval_results import TaskRun

if TYPE_CHECKING:
    from ...suites import Suite

__all__ = ["in_order", "missing"]


def in_order(runs: Sequence[TaskRun], suite: str) -> list[TaskRun]:
    """Runs by task and attack as the suite lists them; what it does not list comes last, as it was found."""
    known = _suite(suite)
    tasks = _tasks(known) if known else []
    attacks = ["none", *([*known.attacks, *known.curve] if known else [])]
    return sorted(runs, key=lambda run: (_place(run.task, tasks), _place(str(run.attack["name"]), attacks)))


def missing(suite: str, done: Iterable[tuple[str, str]]) -> list[str]:
    """Cells (task, attack) of the standard set that are not done, as "task attack"; nothing for an unknown suite."""
    known, there = _suite(suite), set(done)
    cells = [(task, attack) for attack in known.attacks for task in _tasks(known)] if known else []
    return [" ".join(cell) for cell in cells if cell not in there]


def _suite(name: str) -> Suite | None:
    from ...suites import SUITES

    try:
        return SUITES[name]
    except UnknownNameError:
        return None


def _tasks(suite: Suite) -> list[str]:
    return [f"{suite.name}_{leaf.name}" for leaf in suite.leaves]


def _place(name: str, order: Sequence[str]) -> int:
    return order.index(name) if name in order else len(order)
