"""What `lm_eval --output_path … --log_samples` wrote, as runs of tasks under attacks."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import RecordError
from ..record.items import Items, Value, cluster_id

__all__ = ["TaskRun", "read_items_of", "read_results", "result_files"]

_OURS = "robust_unlearn_bench"
_DATE = re.compile(r"\d{4}-\d\d-\d\dT[\d.\-]+$")


@dataclass(frozen=True, slots=True)
class TaskRun:
    """One task under one attack, read from one results file.

    Attributes:
        task: name of the task without the attack.
        attack: name, digest, config, diagnostics, seconds as the harness reported them.
        report: everything the harness put into the task's metadata.
        values: metric → value, None when it is undefined.
        documents: number of documents that were evaluated.
        version: version of the task, or None.
        samples: path of the per-document log, or None when there is none.
        results: content of the whole results file.
        source: path of the results file.
    """

    task: str
    attack: Mapping[str, Any]
    report: Mapping[str, Any]
    values: Mapping[str, float | None]
    documents: int
    version: str | None
    samples: Path | None
    results: Mapping[str, Any]
    source: Path


def result_files(path: Path) -> list[Path]:
    """The results files that a path stands for: itself, or those in a folder and its subfolders, oldest first.

    Raises:
        RecordError: there are none.
    """
    if path.is_file():
        return [path]
    found = sorted(path.rglob("results_*.json"), key=lambda file: (_date(file), file.name)) if path.is_dir() else []
    if not found:
        raise RecordError(f"{path}: no results_*.json here; run lm_eval with --output_path {path} --log_samples")
    return found


def read_results(files: Iterable[Path]) -> list[TaskRun]:
    """Every (task, attack) of these files that our harness ran; where files repeat one, the later file counts.

    Raises:
        RecordError: a file is not lm-eval's, was run with --limit, or they are of different models or suites.
    """
    runs: dict[tuple[str, str], TaskRun] = {}
    for file in files:
        for run in _runs_of(file):
            runs[run.task, str(run.attack["name"])] = run
    if not runs:
        raise RecordError("these results hold no task of robust-unlearn-bench; run `lm_eval --tasks <suite>_robust`")
    for what, key in (("suites", "suite"), ("suite versions", "suite_version")):
        seen = {str(run.report.get(key)): run.source for run in runs.values() if run.report.get(key)}
        if len(seen) > 1:
            listed = " and ".join(f"{name} ({source.name})" for name, source in sorted(seen.items()))
            raise RecordError(f"results of different {what} cannot share a record: {listed}; pass one suite's results")
    prints = {str((run.report.get("model") or {}).get("fingerprint")): run.source for run in runs.values()}
    if len(prints) > 1:
        listed = " and ".join(f"{name[:12]} ({source.name})" for name, source in sorted(prints.items()))
        raise RecordError(f"results of different models cannot share a record: {listed}; pass one model's results")
    return list(runs.values())


def read_items_of(runs: Mapping[str, TaskRun]) -> tuple[Items | None, list[str]]:
    """Per-document scores of one task under several attacks.

    Args:
        runs: run id → the task under that attack.

    Returns:
        The items, or None when any run lacks its log; and notes about what could not be taken over.

    Raises:
        RecordError: the attacks were run on different documents or prompts.
    """
    if unlogged := [name for name, run in runs.items() if run.samples is None]:
        task = next(iter(runs.values())).task
        return None, [f"{task}: no samples for {', '.join(unlogged)}, so no items; run lm_eval with --log_samples"]
    frame: tuple[tuple[str, str, str], ...] | None = None
    scores: dict[tuple[str, str], tuple[Value, ...]] = {}
    notes: list[str] = []
    for name, run in runs.items():
        assert run.samples is not None
        rows = _sample_rows(run.samples, list(run.values))
        keys = tuple(row[0] for row in rows)
        if frame is not None and keys != frame:
            raise RecordError(
                f"{run.samples}: documents or prompts differ from those of the other attacks; rerun them together"
            )
        frame = keys
        for metric in run.values:
            column = [row[1].get(metric) for row in rows]
            try:
                scores[name, metric] = tuple(_value(entry) for entry in column)
            except ValueError as error:
                notes.append(f"{run.task} {metric}: items left out, {error}")
    docs, prompts, clusters = zip(*frame, strict=True) if frame else ((), (), ())
    return Items(docs, prompts, clusters, scores), notes


def _runs_of(file: Path) -> Iterable[TaskRun]:
    try:
        results = json.loads(file.read_text(encoding="utf-8"))
        table, configs = results["results"], results["configs"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RecordError(f"{file}: not a results file of lm-eval; pass a results_*.json") from error
    limit = (results.get("config") or {}).get("limit")
    if limit is not None:
        raise RecordError(f"{file}: run with --limit {limit}; a record needs every document, rerun without --limit")
    for name, config in configs.items():
        report = (config.get("metadata") or {}).get(_OURS)
        if not report or name not in table:
            continue
        attack = report["attack"]
        count = (results.get("n-samples") or {}).get(name, {})
        if count.get("original") != count.get("effective"):
            raise RecordError(
                f"{file}: {name} ran on {count.get('effective')} of {count.get('original')} documents; "
                "a record needs every document, rerun without --limit and --samples"
            )
        values = {
            metric: _number(value)
            for label, value in table[name].items()
            for metric, _, kept in [label.partition(",")]
            if kept and not metric.endswith("_stderr") and metric in (report.get("metrics") or {metric: None})
        }
        samples = file.with_name(f"samples_{name}_{_date(file)}.jsonl")
        version = (results.get("versions") or {}).get(name)
        yield TaskRun(
            task=name.removesuffix(f"__{attack['name']}"),
            attack=attack,
            report=report,
            values=values,
            documents=int(count.get("effective") or 0),
            version=None if version in (None, "N/A", "Yaml") else str(version),
            samples=samples if samples.is_file() else None,
            results=results,
            source=file,
        )


def _date(file: Path) -> str:
    match = _DATE.search(file.stem)
    return match[0] if match else ""


def _sample_rows(path: Path, metrics: list[str]) -> list[tuple[tuple[str, str, str], dict[str, Any]]]:
    """((doc_hash, prompt_hash, cluster), scores) by doc_id; the texts in the log are left behind."""
    rows: dict[int, tuple[tuple[str, str, str], dict[str, Any]]] = {}
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                sample = json.loads(line)
                cluster = (sample.get("doc") or {}).get("cluster")
                key = (
                    str(sample["doc_hash"]),
                    str(sample["prompt_hash"]),
                    f"doc-{sample['doc_id']}" if cluster is None else cluster_id(cluster),
                )
                scores = {metric: sample[metric] for metric in metrics if metric in sample}
                rows.setdefault(int(sample["doc_id"]), (key, scores))  # a task with several filters logs one row each
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise RecordError(f"{path} line {number}: not a sample of lm-eval; rerun with --log_samples") from error
    return [rows[i] for i in sorted(rows)]


def _number(value: Any) -> float | None:
    if isinstance(value, (bool, int, float)) and math.isfinite(value):
        return float(value)
    return None


def _value(entry: Any) -> Value:
    """A per-document value as an item file may hold it.

    Raises:
        ValueError: it holds text.
    """
    if isinstance(entry, str):
        raise ValueError("they hold text")
    if isinstance(entry, Mapping):
        return {str(key): _plain(part) for key, part in entry.items()}
    if isinstance(entry, (list, tuple)):
        return {f"part{i}": _plain(part) for i, part in enumerate(entry)}
    return _plain(entry)


def _plain(entry: Any) -> float | None:
    if entry is not None and not isinstance(entry, (bool, int, float)):
        raise ValueError("they hold text or nested lists")
    return _number(entry)
