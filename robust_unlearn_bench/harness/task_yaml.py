"""The task YAML, written from the suites by `make generated`: one file a leaf, one a group.

<suite>               all leaves, unattacked (wmdp_*: `<suite>__none`, because lm-eval has tasks called `<suite>`)
<suite>__<attack>     all leaves under one attack: lm-eval hands the group's `attack` key to its children
<suite>_robust        the standard attacks, unattacked first
<suite>_curve         relearning, looked at as it goes
nano_robust           the robust groups of all nano suites
utility…              three of lm-eval's own tasks, put under our attacks
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..suites import SUITES, Leaf, Suite
from ..suites.choice import MultipleChoice
from ..suites.muse_leaves import Extraction
from ..suites.privleak import PrivLeak, TofuPrivLeak

__all__ = ["clean_group", "task_files"]

NOTE = "# Written by `make generated` from the suites; edit those.\n"

SCORED = (PrivLeak, TofuPrivLeak, Extraction, MultipleChoice)
"""Leaves whose documents are only scored; `lm_eval ls tasks` shows the difference."""

CLASSES = "!function robust_unlearn_bench.harness.task."

UTILITY = ("truthfulqa_mc2", "hellaswag", "arc_challenge")
"""lm-eval's own tasks whose mean accuracy the founding paper reports as general utility."""


def clean_group(suite: str) -> str:
    """Name of the group that runs a suite without attack."""
    return f"{suite}__none" if suite.startswith("wmdp_") else suite


def task_files(suites: Iterable[str]) -> dict[str, str]:
    """Path below tasks/ → content, for these suites, the nano suites together, and the utility tasks."""
    files: dict[str, str] = {}
    names = list(suites)
    for name in names:
        files.update(_suite_files(SUITES[name]))
    nano = [f"{name}_robust" for name in names if name.startswith("nano_")]
    if nano:
        files["nano/nano_robust.yaml"] = _group("nano_robust", nano)
    files.update(_utility_files())
    return files


def _suite_files(suite: Suite) -> dict[str, str]:
    folder = f"{suite.name.partition('_')[0]}/{suite.name}"
    leaves = [f"{suite.name}_{leaf.name}" for leaf in suite.leaves]
    files = {f"{folder}/{leaf.name}.yaml": _leaf(suite, leaf) for leaf in (*suite.leaves, *suite.extra)}
    groups = {"none": clean_group(suite.name)}
    files[f"{folder}/{suite.name}.yaml"] = _group(groups["none"], leaves)
    for attack in dict.fromkeys((*suite.attacks, *suite.curve)):
        if attack != "none":
            groups[attack] = f"{suite.name}__{attack}"
            files[f"{folder}/attacks/{attack}.yaml"] = _group(groups[attack], leaves, attack)
    files[f"{folder}/robust.yaml"] = _group(f"{suite.name}_robust", [groups[a] for a in suite.attacks])
    if suite.curve:
        files[f"{folder}/curve.yaml"] = _group(f"{suite.name}_curve", [groups[a] for a in suite.curve])
    return files


def _leaf(suite: Suite, leaf: Leaf) -> str:
    family = suite.name.partition("_")[0]
    return _yaml(
        {
            "task": f"{suite.name}_{leaf.name}",
            "class": f"{CLASSES}LeafTask",
            "suite": suite.name,
            "leaf": leaf.name,
            "output_type": "loglikelihood" if isinstance(leaf, SCORED) else "generate_until",
            **({"dataset_path": suite.dataset} if suite.dataset else {}),
            **({"tag": ["unlearning", f"unlearning_{family}"]} if leaf in suite.leaves else {}),
            "metadata": {"version": float(suite.version)},
        }
    )


def _group(name: str, members: Sequence[Any], attack: str | None = None, **more: Any) -> str:
    told = {"group_alias": attack, "attack": attack} if attack else {}
    return _yaml({"group": name, **told, "task": members, **more, "metadata": {"version": 1.0}})


def _utility_files() -> dict[str, str]:
    members = [{"task": task, "class": f"{CLASSES}AttackedTask"} for task in UTILITY]
    mean = [{"metric": "acc", "aggregation": "mean", "weight_by_size": False}]
    return {
        "utility/utility.yaml": _group("utility", members, aggregate_metric_list=mean),
        "utility/attacks/gptq4.yaml": _group("utility__gptq4", members, "gptq4", aggregate_metric_list=mean),
        "utility/robust.yaml": _group("utility_robust", ["utility", "utility__gptq4"]),
    }


def _yaml(entries: Mapping[str, Any]) -> str:
    lines = []
    for key, value in entries.items():
        if isinstance(value, Sequence) and not isinstance(value, str):
            lines += [f"{key}:", *(f"  - {_inline(item)}" for item in value)]
        else:
            lines.append(f"{key}: {_inline(value)}")
    return NOTE + "\n".join(lines) + "\n"


def _inline(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_inline(item)}" for key, item in value.items()) + "}"
    return str(value).lower() if isinstance(value, bool) else str(value)
