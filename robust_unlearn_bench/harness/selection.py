"""What a list of task names selects: the leaves of our suites and lm-eval's tasks, by the attack they are under.

The names are those of the generated task YAML, read without lm-eval.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import yaml

from ..suites import SUITES, Leaf
from .plan import Plan, plan_attack
from .task_yaml import task_files, utility_files

__all__ = ["Selected", "selected"]


@dataclass(slots=True)
class Selected:
    """An attack, and what is asked under it.

    Attributes:
        plan: the attack on one suite's data.
        leaves: suite and leaf by the name of the task.
        others: names of tasks that are not ours, as keys.
    """

    plan: Plan
    leaves: dict[str, tuple[str, Leaf]] = field(default_factory=dict)
    others: dict[str, None] = field(default_factory=dict)


def selected(
    tasks: Sequence[str],
    attacks: Sequence[str] = (),
    suite: str | None = None,
    data_dir: str | None = None,
    snapshot: str = "cpu",
) -> list[Selected]:
    """Resolve task and group names, each attack on each suite's data once, the unattacked model first.

    Args:
        tasks: names; one that none of our files define is taken for a task of lm-eval's.
        attacks: attacks to put every task under; if empty, the tasks keep their own.
        suite: suite whose text the attacks on lm-eval's own tasks use.
        data_dir: local mirror of the data.
        snapshot: where the original weights are kept.

    Raises:
        UnknownNameError: there is no such attack or suite.
    """
    found: dict[tuple[str, ...], Selected] = {}
    names = [SUITES[name].clean_group if name in SUITES else name for name in tasks]
    for attack in attacks or (None,):
        for name in names:
            for own, task in _leaves(name, attack):
                plan = plan_attack(own, task.get("suite", suite), data_dir, snapshot)
                entry = found.setdefault(plan.key, Selected(plan))
                if "leaf" in task:
                    entry.leaves[task["task"]] = task["suite"], SUITES[task["suite"]].leaf(task["leaf"])
                else:
                    entry.others[str(task["task"])] = None
    return sorted(found.values(), key=lambda entry: not entry.plan.spec.is_none)


def _leaves(task: str | Mapping[str, Any], attack: str | None) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield (attack, task) for every task below a name; the attack of an outer group is handed down."""
    given = {"task": task} if isinstance(task, str) else dict(task)
    known = _known().get(given["task"], {})
    attack = attack or given.get("attack") or known.get("attack")
    if "group" in known:
        for member in known["task"]:
            yield from _leaves(member, attack)
    else:
        yield attack or "none", {**known, **given}


class _Yaml(yaml.SafeLoader):
    """YAML in which `!function` is a string."""


_Yaml.add_constructor("!function", lambda loader, node: str(node.value))


@cache
def _known() -> Mapping[str, Mapping[str, Any]]:
    """Tasks and groups by name."""
    texts = {**task_files(SUITES), **utility_files()}.values()
    entries: list[dict[str, Any]] = [yaml.load(text, _Yaml) for text in texts]
    return {str(entry.get("group") or entry["task"]): entry for entry in entries}
