"""The permalink page of one submission."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ..record.schema import Attack, run_id
from ..scoring.board import Board, Row
from ..scoring.likeness import Likeness
from .board_page import board_key
from .charts.curves import curves
from .charts.marks import mark_of
from .row_view import k50_unit, line_of, page_name, rerun

__all__ = ["model_values"]


def model_values(row: Row, board: Board, alike: Sequence[Likeness] = ()) -> dict[str, Any]:
    """Values that the template `model.html.j2` shows.

    Args:
        row: the row.
        board: the board on which it stands.
        alike: what the row has in common with others.
    """
    record = row.entry.record
    mark = mark_of(row)
    by_attack = [(a, [f for f in row.forgetting if f.cell.attack == a.name]) for a in board.attacks]
    line = next((c.line for c in row.curves), None)
    return dict(
        board=board,
        key=board_key(board),
        row=row,
        unit=k50_unit(board),
        l=line_of(row, board, alike),
        alike=[(likeness, page_name(likeness.other)) for likeness in alike],
        submitter=_submitter(row),
        record=record,
        deciding=next((f for f in row.forgetting if f.cell == row.worst), None),
        svg=curves([mark], line, "own") if line else "",
        forgetting=[(a, cells) for a, cells in by_attack if cells],
        others=_others(row),
        attacks=list(record.runs),
        runs=[
            (run, attack, _fragment(attack), rerun(record, attack.id) if attack.seed == 0 else None)
            for run, attack in record.runs.items()
        ],
        facts=_facts(row),
        links=[(name, url) for name, url in (("code", record.method.code_url), ("paper", record.method.paper)) if url],
        short=lambda task: task.removeprefix(board.suite + "_"),
        item=lambda task: (
            (items.sha256[:12] if (items := record.suite.tasks[task].items) else "–")
            if task in record.suite.tasks
            else "–"
        ),
        plain=_plain,
    )


def _fragment(run: Attack) -> str:
    """Fragment identifier of one run of an attack."""
    return f"{run.id.fragment}-{run.seed}" if run.seed else run.id.fragment


def _others(row: Row) -> list[tuple[str, list[float | None]]]:
    """Metrics that do not enter the score: name, and the value under each run."""
    record = row.entry.record
    values = {(r.task, r.metric, run_id(r.attack, r.seed)): r.value for r in record.results}
    return [
        (
            f"{task.removeprefix(record.suite.name + '_')} {metric}",
            [values.get((task, metric, run)) for run in record.runs],
        )
        for task, described in record.suite.tasks.items()
        for metric, spec in described.metrics.items()
        if spec.role in ("privacy", "report")
    ]


def _submitter(row: Row) -> str:
    """Who measured the model, as the record says; that it was a maintainer is for the events to say."""
    relationship = row.record.relationship
    if relationship == "maintainer" and not row.entry.standing.events and row.unranked != "anchor":
        return "somebody who says to be a maintainer"
    return {"author": "its author", "third_party": "a third party", "maintainer": "a maintainer"}[relationship]


def _facts(row: Row) -> list[tuple[str, str]]:
    """What the record says about model, method and environment, leaving out what is unknown."""
    record = row.entry.record
    method, model, environment = record.method, record.model, record.environment
    facts: Mapping[str, object] = {
        "model": f"{model.name} ({model.source})",
        "revision": model.revision,
        "base": model.base,
        "adapter": model.adapter,
        "precision": model.dtype,
        "parameters": f"{model.parameters:,}" if model.parameters else None,
        "weights in memory": model.fingerprint,
        "objective": method.objective,
        "optimizer": method.optimizer,
        "hyper-parameters": _plain(method.hyperparameters) if method.hyperparameters else None,
        "training precision": method.precision,
        "seeds": ", ".join(map(str, method.seeds)),
        "forget data": method.forget.name if method.forget else None,
        "retain data": method.retain.name if method.retain else None,
        "configurations tried": method.tuning_trials,
        "chosen by": method.selected_on,
        "passes": None if method.forward is None else f"{method.forward:,} forward, {method.backward or 0:,} backward",
        "defends against": ", ".join(method.defends_against),
        "code commit": method.code_commit,
        "measured with": ", ".join(
            f"{name.replace('_', '-')} {value}"
            for name, value in environment.model_dump(exclude_none=True).items()
            if name in ("package", "lm_eval", "torch", "transformers", "python", "device", "batch_size")
        ),
    }
    return [(name, str(value)) for name, value in facts.items() if value not in (None, "")]


def _plain(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
