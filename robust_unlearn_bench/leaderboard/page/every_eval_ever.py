"""Rows in the format of Every Eval Ever, a shared database of evaluation results (its schema version 0.2.1).

Source: evaleval/every_eval_ever, eval.schema.json. Details are strings there, values numbers; what is undefined is left
out. Times are those of the submission, so that equal rows give equal bytes.
"""

from __future__ import annotations

import json
import re
from calendar import timegm
from time import strptime
from typing import Any

from ..record.schema import MetricSpec, Record, run_id
from ..record.strict_json import pretty
from ..scoring.board import Board, Row
from ..scoring.stats import Number

__all__ = ["every_eval", "every_eval_files"]

VERSION = "0.2.1"

_RELATIONSHIP = {"author": "first_party", "third_party": "third_party", "maintainer": "third_party"}


def every_eval_files(board: Board) -> dict[str, bytes]:
    """One file for each submission: path in the layout of that database → content."""
    return {
        f"data/{board.suite}/{_slug(row.record.model.name)}/{row.entry.id}.json": pretty(every_eval(row, board))
        for row in board.rows
    }


def every_eval(row: Row, board: Board) -> dict[str, Any]:
    """One submission: its score, and every measured number."""
    record = row.record
    stamp = str(timegm(strptime(record.submitted_at, "%Y-%m-%dT%H:%M:%SZ")))
    model, method = record.model, record.method
    return {
        "schema_version": VERSION,
        "evaluation_id": f"{board.suite}/{record.submission_id}/{stamp}",
        "retrieved_timestamp": stamp,
        "source_metadata": {
            "source_name": "robust-unlearn-bench",
            "source_type": "evaluation_run",
            "source_organization_name": "robust-unlearn-bench",
            "evaluator_relationship": _RELATIONSHIP[record.relationship],
        },
        "eval_library": {"name": "lm_eval", "version": record.environment.lm_eval or "unknown"},
        "model_info": {
            "name": record.display_name,
            "id": model.name,
            "additional_details": _details(
                objective=method.objective,
                optimizer=method.optimizer,
                revision=model.revision,
                dtype=model.dtype,
                parameters=model.parameters,
                base_model=model.base,
                submission_id=record.submission_id,
                checked=row.entry.standing.tier,
                state=row.entry.standing.state,
            ),
        },
        "evaluation_results": [*_scores(row, board), *_measured(record)],
    }


def _scores(row: Row, board: Board) -> list[dict[str, Any]]:
    """The derived numbers, with intervals."""
    named = (
        ("robust unlearning score", row.score, "harmonic mean of robust forgetting and utility"),
        ("robust forgetting", row.robust_forgetting, "the smaller of forgetting by what the model says and holds"),
        ("forgetting by what it says", row.says, "1 - the largest savings over forget metrics and attackers"),
        (
            "forgetting by what it holds",
            row.holds,
            "1 - the largest deviation from the retrain model over metrics of likelihoods and attacks",
        ),
        ("utility", row.utility, "smallest share of the controls' utility that is kept"),
        ("worst case", row.worst_case, "1 - the largest leakage over attacks and forget metrics"),
    )
    return [
        {
            "evaluation_name": name,
            "source_data": _data(row.record),
            "metric_config": {**_unit(lower_is_better=False), "evaluation_description": words},
            "score_details": {
                "score": number.value,
                **({"uncertainty": _interval(number, board)} if number.low is not None else {}),
            },
        }
        for name, number, words in named
        if number.value is not None
    ]


def _measured(record: Record) -> list[dict[str, Any]]:
    found = []
    for result in record.results:
        if result.value is None:
            continue
        spec, run = record.suite.tasks[result.task].metrics[result.metric], run_id(result.attack, result.seed)
        attack = record.runs[run]
        found.append(
            {
                "evaluation_name": f"{result.task} under {run}: {result.metric}",
                "source_data": _data(record),
                "metric_config": {
                    **_range(spec),
                    "additional_details": _details(
                        role=spec.role, higher_means=spec.higher_means, attack=attack.config
                    ),
                },
                "score_details": {"score": result.value, "details": _details(documents=result.n)},
            }
        )
    return found


def _data(record: Record) -> dict[str, Any]:
    details = _details(suite_version=record.suite.version)
    return {"dataset_name": record.suite.name, "source_type": "other", "additional_details": details}


def _range(spec: MetricSpec) -> dict[str, Any]:
    lower = spec.higher_means == "more_knowledge"
    return _unit(lower_is_better=lower) if spec.role in ("forget", "utility") else {"lower_is_better": lower}


def _unit(*, lower_is_better: bool) -> dict[str, Any]:
    return {"lower_is_better": lower_is_better, "score_type": "continuous", "min_score": 0.0, "max_score": 1.0}


def _interval(number: Number, board: Board) -> dict[str, Any]:
    return {
        "confidence_interval": {
            "lower": number.low,
            "upper": number.high,
            "confidence_level": 0.95,
            "method": "paired cluster bootstrap",
        },
        "num_bootstrap_samples": board.replicates,
    }


def _details(**values: object) -> dict[str, str]:
    return {
        key: value if isinstance(value, str) else json.dumps(value, sort_keys=True)
        for key, value in values.items()
        if value is not None
    }


def _slug(name: str) -> str:
    """A model name as a path of at most two plain parts."""
    parts = [re.sub(r"[^A-Za-z0-9_.\-]", "_", part)[:96].strip(".") for part in name.split("/")]
    plain = [part for part in parts if part] or ["unnamed"]
    return "/".join(plain[-2:] if len(plain) > 1 else ["local", plain[0]])
