"""The task YAML, written from the suites by `make generated`: one file per leaf and one per group.

<suite>               all leaves, unattacked (wmdp_*: `<suite>__none`, because lm-eval has tasks called `<suite>`)
<suite>__<attack>     the suite's leaves under one attack, named beside every child: lm-eval 0.5 passes no key of a group on
<suite>_robust        the standard attacks, unattacked first
<suite>_robust_v1     the standard attacks of an earlier version of the suite
<suite>_curve         relearning, evaluated along the way
nano_robust           the robust groups of all nano suites
muse_news_scal, …     the unattacked groups of all suites of a series
utility…              three of lm-eval's own tasks, put under our attacks
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..suites import SUITES, Leaf, Suite

__all__ = ["task_files", "utility_files", "write_files"]

NOTE = "# Generated from the suites; edit those.\n"

CLASSES = "!function robust_unlearn_bench.harness.task."

UTILITY = ("truthfulqa_mc2", "hellaswag", "arc_challenge")
"""lm-eval's own tasks whose mean accuracy Lang et al. (arXiv 2510.00761) report as general utility."""


def task_files(suites: Iterable[str]) -> dict[str, str]:
    """Return the task YAML of some suites: path → content.

    Args:
        suites: names of the suites; embedded suites and those of one series also share a group.
    """
    files: dict[str, str] = {}
    names = list(suites)
    series: dict[str, list[str]] = {}
    for name in names:
        files.update(_suite_files(SUITES[name]))
        if SUITES[name].series:
            series.setdefault(SUITES[name].series, []).append(SUITES[name].clean_group)
    files.update({f"{_family(name)}/{name}.yaml": _group(name, members) for name, members in series.items()})
    embedded = [f"{name}_robust" for name in names if SUITES[name].embedded]
    if embedded:
        files["nano/nano_robust.yaml"] = _group("nano_robust", embedded)
    return files


def _family(name: str) -> str:
    return name.partition("_")[0]


def _suite_files(suite: Suite) -> dict[str, str]:
    folder = f"{_family(suite.name)}/{suite.name}"
    leaves = [f"{suite.name}_{leaf.name}" for leaf in suite.leaves]
    files = {f"{folder}/{leaf.name}.yaml": _leaf(suite, leaf) for leaf in (*suite.leaves, *suite.extra)}
    groups = {"none": suite.clean_group}
    files[f"{folder}/{suite.name}.yaml"] = _group(groups["none"], leaves)
    former = [attack for attacks in suite.former.values() for attack in attacks]
    for attack in dict.fromkeys((*suite.attacks, *former, *suite.curve)):
        if attack != "none":
            groups[attack] = f"{suite.name}__{attack}"
            members = [f"{suite.name}_{leaf.name}" for leaf in suite.under(attack)]
            files[f"{folder}/attacks/{attack}.yaml"] = _group(groups[attack], members, attack)
    files[f"{folder}/robust.yaml"] = _group(f"{suite.name}_robust", [groups[a] for a in suite.attacks])
    for version, attacks in suite.former.items():
        name = f"{suite.name}_robust_v{version}"
        files[f"{folder}/robust_v{version}.yaml"] = _group(name, [groups[a] for a in attacks])
    if suite.curve:
        files[f"{folder}/curve.yaml"] = _group(f"{suite.name}_curve", [groups[a] for a in suite.curve])
    return files


def _leaf(suite: Suite, leaf: Leaf) -> str:
    tagged = leaf in suite.leaves and not suite.series
    return _yaml(
        {
            "task": f"{suite.name}_{leaf.name}",
            "class": f"{CLASSES}LeafTask",
            "suite": suite.name,
            "leaf": leaf.name,
            "output_type": "generate_until" if "output" in leaf.gives else "loglikelihood",
            **({"dataset_path": suite.dataset} if suite.dataset else {}),
            **({"tag": ["unlearning", f"unlearning_{_family(suite.name)}"]} if tagged else {}),
            "metadata": {"version": float(suite.version)},
        }
    )


def _group(name: str, members: Sequence[Any], attack: str | None = None, **more: Any) -> str:
    """Write a group; under an attack, its members are names of leaves, or mappings with `task` and `class`."""
    told = {"group_alias": attack} if attack else {}
    if attack:
        members = [{**(m if isinstance(m, Mapping) else {"task": m}), "attack": attack} for m in members]
    return _yaml({"group": name, **told, "task": members, **more, "metadata": {"version": 1.0}})


def utility_files() -> dict[str, str]:
    """Return the task YAML of three of lm-eval's own tasks as a group, unattacked and quantised."""
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


def write_files(folder: Path, files: Mapping[str, str]) -> None:
    """Write files, given as path below the folder → content; other files in the folder are left alone."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
