"""The permalink page of one submission."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from ..record.attack_id import AttackId
from ..record.schema import Attack, run_id
from ..scoring.board import Board, Forgetting, Row
from ..scoring.board_table import columns_of, percent
from ..scoring.families import Held
from ..scoring.likeness import Likeness
from .board_page import board_key
from .charts.envelopes import envelope_chart, half_text
from .charts.marks import mark_of
from .row_view import line_of, page_name, rerun

__all__ = ["model_values"]

_Cells = TypeVar("_Cells", Forgetting, Held)


def model_values(row: Row, board: Board, alike: Sequence[Likeness] = ()) -> dict[str, Any]:
    """Values that the template `model.html.j2` shows.

    Args:
        row: the row.
        board: the board on which it stands.
        alike: what the row has in common with others.
    """
    record = row.entry.record
    return dict(
        board=board,
        key=board_key(board),
        row=row,
        l=line_of(row, board, columns_of(board), alike),
        alike=[(likeness, page_name(likeness.other)) for likeness in alike],
        submitter=_submitter(row),
        record=record,
        decision=_decision(row, board),
        work=_work(row, board),
        forgetting=_by_attack(board, row.forgetting),
        held=_by_attack(board, row.held),
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


def _by_attack(board: Board, cells: Sequence[_Cells]) -> list[tuple[AttackId, list[_Cells]]]:
    """The cells of every attack that has any."""
    grouped = [(a, [c for c in cells if c.cell.attack == a.name]) for a in board.attacks]
    return [(a, found) for a, found in grouped if found]


def _decision(row: Row, board: Board) -> str:
    """What decides the score, in a sentence; "" where nothing does."""
    found, worst = row.deciding, row.worst
    if found is None or worst is None:
        return ""
    metric = worst.task.removeprefix(board.suite + "_")
    if isinstance(found, Held):
        return (
            f"Decided by what it still holds: {metric} under {worst.attack} is {percent(found.value)} here, "
            f"{percent(found.retrain)} in the retrain model under the same attack and {percent(found.target)} in the "
            f"target: a deviation of {percent(found.deviation.value)}."
        )
    at = found.telling
    budget = "without any training" if found.budgets[at] == 0 else f"within {found.budgets[at]} steps"
    return (
        f"Decided by what it says: {metric}, where it saves an attacker {found.attacker} "
        f"{percent(found.savings.value)} % of the work of learning the text. It shows most {budget} ({worst.attack}): "
        f"{percent(found.row[at])} here, {percent(found.retrain[at])} in the retrain model, "
        f"{percent(found.target[at])} in the target."
    )


def _work(row: Row, board: Board) -> list[dict[str, Any]]:
    """The envelopes of every metric and attacker, with their charts."""
    mark = mark_of(row)
    return [
        {
            "metric": (short := e.task.removeprefix(board.suite + "_")),
            "envelope": e,
            "half": half_text(e, e.row),
            "learnt": half_text(e, e.retrain),
            "svg": envelope_chart([(mark, e)], f"work-{i}", short),
        }
        for i, e in enumerate(e for e in row.envelopes if e.identifiable)
    ]


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
