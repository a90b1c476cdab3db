"""A record and its item files, built from the results of lm-eval."""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ...attacks.spec import digest_of
from ...errors import RecordError
from ...metrics.membership import SIDES
from ..record.attack_id import AttackId, seed_of, without_seed
from ..record.entry import Entry
from ..record.field_types import plain_name, utc_now
from ..record.file_hash import file_sha256
from ..record.items import Items, Value, aggregate
from ..record.sanitise import sanitised
from ..record.schema import File, Kind, MetricSpec, run_id
from ..record.sealing import seal
from ..scoring.measure import SCORED_ROLES
from .coverage import in_order, missing
from .lmeval_results import TaskRun, read_items_of, read_results, result_files
from .method_card import method_of

__all__ = ["Built", "record_from_results"]


@dataclass(frozen=True, slots=True)
class Built:
    """A record built from results.

    Attributes:
        entry: the record and its items.
        missing: cells of the suite's standard set that the results lack, as "task attack".
        notes: what could not be taken over from the results, in sentences.
    """

    entry: Entry
    missing: tuple[str, ...]
    notes: tuple[str, ...]


def record_from_results(
    results: Path | str | Sequence[Path | str],
    *,
    model: Path | str | None = None,
    name: str | None = None,
    kind: Kind = "unlearned",
    relationship: Literal["author", "third_party", "maintainer"] = "author",
    method: Mapping[str, Any] | None = None,
    submitted_at: str | None = None,
    repo: str | None = None,
    revision: str | None = None,
) -> Built:
    """Build a record from what `lm_eval --output_path … --log_samples` wrote.

    Args:
        results: results files, or folders that hold them (several, when attacks were run one by one).
        model: folder of the evaluated model, for its weight hashes and `unlearning.json`; default: where the results
            say it was loaded from, if that folder exists.
        name: display name of the row; default: the name of the recipe or of the model.
        kind: what the model is, see `schema.Model`.
        relationship: relation of the submitter to the method.
        method: fields of `schema.Method` that override those of `unlearning.json`.
        submitted_at: UTC time, `2026-01-31T12:00:00Z`; default: now.
        repo: hub repository of which the folder of the model is a copy.
        revision: commit of that repository.

    Raises:
        RecordError: the results are of --limit runs, of several models or suites, or break the schema.
    """
    paths = [Path(p) for p in ([results] if isinstance(results, (str, Path)) else results)]
    found_runs = read_results([file for path in paths for file in result_files(path)])
    latest = found_runs[-1]
    suite = next((str(run.report["suite"]) for run in found_runs if run.report.get("suite")), None)
    if suite is None:
        raise RecordError(
            f"{latest.source}: none of its tasks belongs to a suite; run `lm_eval --tasks <suite>_robust`"
        )
    if any((run.report.get("model") or {}).get("remote_code") for run in found_runs):
        raise RecordError(
            f"{latest.source}: the model ran code of its own repository (trust_remote_code), which nobody else can vouch "
            "for; evaluate it with a model class of transformers"
        )
    runs = in_order(found_runs, suite)
    attacks = _attacks(runs)
    tasks: dict[str, Any] = {}
    items: dict[str, Items] = {}
    cells: list[dict[str, Any]] = []
    notes: list[str] = []
    for task in dict.fromkeys(run.task for run in runs):
        named = {attacks[_config_key(run)]["id"]: run for run in runs if run.task == task}
        found, remarks = read_items_of(named)
        notes += remarks
        first, specs = next(iter(named.values())), _metrics(task, named, found)
        tasks[task] = {"version": first.version, "n": first.documents, "metrics": specs}
        if found is not None:
            items[task] = found.only([metric for metric, spec in specs.items() if spec.role != "report"])
        for run in named.values():
            attack = attacks[_config_key(run)]
            for metric, value in run.values.items():
                column = found.scores.get((attack["id"], metric)) if found else None
                cells.append(
                    {
                        "task": task,
                        "metric": metric,
                        "attack": attack["name"],
                        "seed": attack["seed"],
                        "value": value,
                        "n": run.documents if column is None else sum(entry is not None for entry in column),
                    }
                )
    folder = _model_folder(model, latest)
    described = {**method_of(folder), **(method or {})}
    record = seal(
        display_name=name or described.get("name") or (repo or _model_name(folder, latest))[:80],
        submitted_at=submitted_at or utc_now(),
        relationship=relationship,
        model={
            **_model(folder, latest, kind),
            **({"name": plain_name(repo), "source": "hub", "revision": revision} if repo else {}),
        },
        method=described,
        suite={
            "name": suite,
            "version": str(next(r.report["suite_version"] for r in runs if r.report.get("suite_version"))),
            "tasks": tasks,
        },
        attacks=[{k: v for k, v in attack.items() if k != "id"} for attack in attacks.values()],
        results=cells,
        environment=_environment(latest),
    )
    done = [(run.task, str(attacks[_config_key(run)]["name"])) for run in runs]
    return Built(Entry.unsaved(record, items), tuple(missing(suite, done)), tuple(notes))


def _config_key(run: TaskRun) -> str:
    return json.dumps(run.attack["config"], sort_keys=True)


def _attacks(runs: Sequence[TaskRun]) -> dict[str, dict[str, Any]]:
    """Resolved config → the record's attack entry; runs that differ in their seed alone share a name.

    The harness adds a digest to the name of an attack whose parameters are not the suite's own. Where only the seed
    differs from a run with the suite's own parameters, that run's name is kept and the seed stands beside it.
    """
    names = {_seedless(run): str(run.attack["name"]) for run in runs if _id(run).own}
    found: dict[str, dict[str, Any]] = {}
    for run in runs:
        report = run.attack
        name, seed = names.get(_seedless(run), str(report["name"])), seed_of(report["config"])
        if _config_key(run) in found:
            continue
        diagnostics = report.get("diagnostics") or []
        change = (report.get("relative_weight_change") or {}).get("all")
        found[_config_key(run)] = {
            "id": run_id(name, seed),
            "name": name,
            "seed": seed,
            "digest": digest_of(config := [sanitised(step) for step in report["config"]]),
            "config": config,
            "diagnostics": [
                sanitised(step) for step in (diagnostics if isinstance(diagnostics, list) else [diagnostics])
            ],
            "weight_change": change if isinstance(change, float) and change == change and abs(change) < 1e300 else None,
            "seconds": report.get("seconds"),
        }
    return found


def _seedless(run: TaskRun) -> str:
    return json.dumps(without_seed(run.attack["config"]), sort_keys=True)


def _id(run: TaskRun) -> AttackId:
    return AttackId.of(str(run.attack["name"]), run.attack["config"])


def _metrics(task: str, named: Mapping[str, TaskRun], items: Items | None) -> dict[str, MetricSpec]:
    """Each metric's role as the suite declares it; how it aggregates is inferred from the items."""
    first = next(iter(named.values()))
    specs = {}
    for metric in first.values:
        declared = (first.report.get("metrics") or {}).get(metric) or _undeclared(task, metric)
        kind = "other"
        if items is not None and all((run, metric) in items.scores for run in named):
            columns = {run: items.scores[run, metric] for run in named}
            if all(_close(aggregate(columns[run]), named[run].values[metric]) for run in named):
                parts = any(isinstance(value, dict) for column in columns.values() for value in column)
                kind = "mean" if not parts else _of_parts(columns) if declared["role"] in SCORED_ROLES else "other"
        specs[metric] = MetricSpec(
            role=declared["role"],
            higher_means=declared["higher_means"],
            floor=float(declared.get("floor") or 0.0),
            aggregate=kind,  # type: ignore[arg-type]  # one of the three literals above
        )
    return specs


def _of_parts(columns: Mapping[str, Sequence[Value]]) -> str:
    names = {name for column in columns.values() for value in column if isinstance(value, dict) for name in value}
    return "familiarity" if names == SIDES else "harmonic_mean"


def _undeclared(task: str, metric: str) -> dict[str, Any]:
    """lm-eval's own tasks carry no role: multiple-choice accuracy over four answers is knowledge or utility by task."""
    if metric == "acc":
        if task.startswith("wmdp"):
            return {"role": "forget", "higher_means": "more_knowledge", "floor": 0.25}
        return {"role": "utility", "higher_means": "more_utility", "floor": 0.25 if task.startswith("mmlu") else 0.0}
    return {"role": "report", "higher_means": "more_utility"}


def _close(a: float | None, b: float | None) -> bool:
    return a is b if a is None or b is None else abs(a - b) <= 1e-6


def _model_folder(model: Path | str | None, run: TaskRun) -> Path | None:
    if model is not None:
        folder = Path(model)
        if not folder.is_dir():
            raise RecordError(f"{folder}: no such model folder; pass the folder that was evaluated")
        return folder
    name = str(run.results.get("model_name") or "")
    return Path(name) if name and Path(name).is_dir() else None


def _model_name(folder: Path | None, run: TaskRun) -> str:
    name = folder.resolve().name if folder else str(run.results.get("model_name") or "model")
    return plain_name(name)


def _model(folder: Path | None, run: TaskRun, kind: Kind) -> dict[str, Any]:
    report = run.report.get("model") or {}
    config = run.results.get("config") or {}
    tokenizer = folder / "tokenizer.json" if folder else None
    files = sorted(folder.glob("*.safetensors")) if folder else []
    return {
        "name": _model_name(folder, run),
        "source": "local" if folder else "hub",
        "revision": None if folder else _label(config.get("model_sha") or config.get("model_revision")),
        "kind": kind,
        "weights": {file.name: File(sha256=file_sha256(file), bytes=file.stat().st_size) for file in files},
        "fingerprint": report.get("fingerprint"),
        "dtype": report.get("dtype") or None,
        "parameters": report.get("parameters"),
        "tokenizer": file_sha256(tokenizer) if tokenizer and tokenizer.is_file() else None,
    }


def _environment(run: TaskRun) -> dict[str, Any]:
    results, config = run.results, run.results.get("config") or {}
    commit = results.get("git_hash")
    system = str(results.get("pretty_env_info"))
    torch = re.search(r"PyTorch version: (\S+)", system)
    return {
        "package": run.report.get("package"),
        "lm_eval": results.get("lm_eval_version"),
        "torch": torch[1] if torch else None,
        "transformers": results.get("transformers_version"),
        "python": platform.python_version(),
        "device": "cpu" if "CUDA available: False" in system else _label(config.get("device")),
        "batch_size": _label(config.get("batch_size")),
        "git_commit": _label(commit),
    }


def _label(value: Any) -> str | None:
    return None if value in (None, "") else str(value)[:80]
