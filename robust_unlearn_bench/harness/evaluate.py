"""`rub eval`: a suite, or any lm-eval tasks, under any attacks, without writing YAML."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from ..errors import ConfigError, UnknownNameError
from ..paths import installed_tasks_dir, tasks_dir
from ..registry import BUILT_IN
from ..suites import SUITES
from .lm_eval_versions import task_index
from .readable import refuse_unreadable, with_adapter
from .task_yaml import task_files, write_files

__all__ = ["evaluate", "write_groups"]


def write_groups(folder: Path, tasks: Sequence[str], attacks: Sequence[str], suite: str | None = None) -> list[str]:
    """Write one group YAML per attack, with every task as a child, and return the names of the groups.

    Args:
        folder: folder for the files, to be given to `TaskManager(include_path=…)`.
        tasks: names of leaves, groups or lm-eval's own tasks.
        attacks: attack specs.
        suite: suite whose text the attacks on lm-eval's own tasks use.

    Raises:
        UnknownNameError: there is no such attack or task.
    """
    from .plan import plan_attack

    manager = _known_tasks()
    members = [member for task in tasks for member in _members(task, manager, suite)]
    names: list[str] = []
    for attack in attacks:
        name = plan_attack(attack, None).spec.name
        group = json.dumps(f"{'+'.join(tasks)} under {name}")
        children = "".join(f"  - {{{member}, attack: {json.dumps(attack)}}}\n" for member in members)
        text = f"group: {group}\ngroup_alias: {json.dumps(name)}\ntask:\n{children}"
        (folder / f"{len(names)}.yaml").write_text(text, encoding="utf-8")
        names.append(json.loads(group))
    return names


def _members(task: str, manager: Any, suite: str | None) -> list[str]:
    """Write a task as children in YAML, a tag as all its tasks; lm-eval's own tasks get our class."""
    entry = task_index(manager).get(task)
    if entry is None:
        raise UnknownNameError("task", task, manager.all_tasks)
    if entry.kind.name == "TAG":
        return [member for name in sorted(entry.tags) for member in _members(name, manager, suite)]
    if entry.kind.name == "GROUP":
        return [f"group: {task}"]
    if entry.cfg and "class" in entry.cfg:
        return [f"task: {task}"]
    of = f", suite: {suite}" if suite else ""
    return [f"task: {task}, class: !function robust_unlearn_bench.harness.task.AttackedTask{of}"]


@cache
def _known_tasks() -> Any:
    """Index lm-eval's own tasks, and those of this and other distributions that are not installed inside lm-eval.

    The result is cached, because reading that many files takes seconds.
    """
    from lm_eval.tasks import TaskManager

    manager = TaskManager(include_path=None if installed_tasks_dir() else str(tasks_dir()))
    others = [name for name in SUITES if SUITES.origin(name) != BUILT_IN]
    if missing := [name for name in others if SUITES[name].clean_group not in task_index(manager)]:
        folder = Path(_scratch().name)
        write_files(folder, task_files(missing))
        _add_tasks(manager, TaskManager(include_path=str(folder), include_defaults=False))
    return manager


@cache
def _scratch() -> tempfile.TemporaryDirectory[str]:
    """Return a folder that lasts as long as the process, because task YAML is read only when its task is loaded."""
    return tempfile.TemporaryDirectory()


def _add_tasks(manager: Any, more: Any) -> None:
    """Add the tasks of `more` to those of `manager`, which take precedence over others of the same name."""
    for name, entry in task_index(more).items():
        task_index(manager).setdefault(name, entry)


def task_manager(metadata: Mapping[str, Any], folder: Path) -> Any:
    """Return lm-eval's task manager with one more folder, whose tasks take precedence over others of the same name."""
    from lm_eval.tasks import TaskManager

    manager = TaskManager(include_path=str(folder), include_defaults=False, metadata=dict(metadata))
    _add_tasks(manager, _known_tasks())
    return manager


def evaluate(
    model: str,
    model_args: str | dict[str, Any],
    tasks: Sequence[str],
    *,
    attacks: Sequence[str] = (),
    suite: str | None = None,
    out: Path | None = None,
    batch_size: int | str = 1,
    device: str | None = None,
    limit: float | None = None,
    apply_chat_template: bool = False,
    metadata: Mapping[str, Any] | None = None,
    announce: Callable[[str], object] = lambda line: None,
) -> dict[str, Any]:
    """Run lm-eval and write its results and samples as its own command line would.

    Args:
        model: lm-eval model type ("hf", …).
        model_args: lm-eval model arguments.
        tasks: task or group names; a suite's name means that suite, even if lm-eval has a task of that name.
        attacks: specs of attacks to put every task under; if empty, the tasks keep their own.
        suite: suite whose text the attacks on lm-eval's own tasks use.
        out: folder for `results_*.json` and `samples_*.jsonl`.
        batch_size: as in lm-eval.
        device: as in lm-eval.
        limit: as in lm-eval; results with a limit cannot become a record.
        apply_chat_template: as in lm-eval.
        metadata: as lm-eval's `--metadata`.
        announce: called with the plan in one line before anything is loaded.

    Returns:
        lm-eval's results dict, without samples.

    Raises:
        ConfigError: no such dtype or device, `out` takes no files, or lm-eval returned nothing (not the main process).
        ModelError: there is no such checkpoint, it is damaged or incomplete, or an attack fits into no memory.
    """
    import torch
    from lm_eval.evaluator import simple_evaluate
    from lm_eval.loggers import EvaluationTracker
    from lm_eval.utils import simple_parse_args_string

    tasks = [SUITES[name].clean_group if name in SUITES else name for name in tasks]
    arguments = simple_parse_args_string(model_args) if isinstance(model_args, str) else dict(model_args)
    arguments = with_adapter(arguments)
    _refuse_unknown(arguments.get("dtype"), device)
    if out:
        _refuse_unwritable(out)
    refuse_unreadable(arguments)
    if model == "hf" and arguments.keys() <= _PLAIN:
        _plan(arguments, tasks, attacks, suite, device, limit, metadata or {}, announce)
    tracker = EvaluationTracker(output_path=str(out)) if out else None
    with tempfile.TemporaryDirectory() as scratch:
        names = write_groups(Path(scratch), tasks, attacks, suite) if attacks else list(tasks)
        results: dict[str, Any] | None = simple_evaluate(
            model=model,
            model_args=arguments,
            tasks=names,
            batch_size=batch_size,
            device=device or ("cuda" if torch.cuda.is_available() else "cpu"),
            limit=limit,
            log_samples=out is not None,
            apply_chat_template=apply_chat_template,
            task_manager=task_manager({**arguments, **(metadata or {})}, Path(scratch)),
            evaluation_tracker=tracker,
        )
    if results is None:
        raise ConfigError("only the main process of a distributed run has results: read them there")
    samples = results.pop("samples", None)
    if tracker and out:
        before = set(out.rglob("results_*.json"))
        tracker.save_results_aggregated(results=results, samples=samples)
        if not set(out.rglob("results_*.json")) - before:
            raise ConfigError(
                f"lm-eval could not write the results to {out}: see its message above, and make room there"
            )
        for task in samples or {}:
            tracker.save_results_samples(task_name=task, samples=samples[task])
    return results


_PLAIN = {"pretrained", "dtype", "tokenizer", "peft", "max_length", "add_bos_token"}
"""Model arguments under which the whole model is on one device, as its config.json says."""


def _plan(
    arguments: Mapping[str, Any],
    tasks: Sequence[str],
    attacks: Sequence[str],
    suite: str | None,
    device: str | None,
    limit: float | None,
    metadata: Mapping[str, Any],
    announce: Callable[[str], object],
) -> None:
    """Announce the plan, and refuse what cannot fit; models that config.json does not describe have none."""
    from .forecast import forecast, machine

    if not isinstance(arguments["pretrained"], (str, Path)):  # lm-eval also takes a loaded model
        return
    found = forecast(
        str(arguments["pretrained"]),
        tasks,
        *machine(device),
        attacks=attacks,
        suite=suite,
        dtype=str(arguments.get("dtype") or "auto"),
        data_dir=metadata.get("data_dir") or os.environ.get("RUB_DATA"),
        snapshot=str(metadata.get("snapshot") or os.environ.get("RUB_SNAPSHOT") or "cpu"),
        limit=limit,
    )
    if found is not None:
        found.refuse()
        announce(found.summary)


def _refuse_unknown(dtype: object, device: str | None) -> None:
    """Refuse an unknown dtype or device in one sentence, before anything is loaded."""
    import torch

    if dtype not in (None, "auto") and not isinstance(getattr(torch, str(dtype), dtype), torch.dtype):
        raise ConfigError(f"dtype {str(dtype)!r} is unknown: give auto, float32, bfloat16 or float16")
    try:
        kind = torch.device(device or "cpu").type
    except RuntimeError as error:
        raise ConfigError(f"device {device!r} is unknown: give cpu, cuda, cuda:1, … or mps") from error
    if kind == "cuda" and not torch.cuda.is_available():
        raise ConfigError(f"device {device!r} is unavailable: torch has no CUDA device; give cpu, or see `rub doctor`")


def _refuse_unwritable(out: Path) -> None:
    """The same for a folder that takes no results; lm-eval would only log that, after the last answer."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise ConfigError(f"results cannot be written to {out} ({error.strerror}): choose another --out") from error
