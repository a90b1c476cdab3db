"""The standard set of a suite: the order of its tasks and attacks, and the cells that are missing from results."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ...errors import UnknownNameError
from .lmeval_results import TaskRun

if TYPE_CHECKING:
    from ...suites import Suite

__all__ = ["clean_group", "in_order", "missing"]


def in_order(runs: Sequence[TaskRun], suite: str) -> list[TaskRun]:
    """Sort runs by task and attack in the order of the suite; what the suite does not list keeps its order and comes last."""
    known = _suite(suite)
    tasks = _tasks(known) if known else []
    former = [attack for attacks in known.former.values() for attack in attacks] if known else []
    attacks = ["none", *([*known.attacks, *former, *known.curve] if known else [])]
    return sorted(runs, key=lambda run: (_place(run.task, tasks), _place(str(run.attack["name"]), attacks)))


def missing(suite: str, done: Iterable[tuple[str, str]]) -> list[str]:
    """List the cells of the standard set that have not been run.

    Args:
        suite: name of the suite; for an unknown one nothing is missing.
        done: (task, attack) of every run.

    Returns:
        Every missing cell as "task attack".
    """
    known, there = _suite(suite), set(done)
    cells = (
        [(f"{suite}_{leaf.name}", attack) for attack in known.attacks for leaf in known.under(attack)] if known else []
    )
    return [" ".join(cell) for cell in cells if cell not in there]


def clean_group(suite: str) -> str:
    """Name of the group that runs a suite unattacked; the name of the suite where it is not installed."""
    known = _suite(suite)
    return known.clean_group if known else suite


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
