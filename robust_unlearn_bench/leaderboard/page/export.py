"""The board for machines: lossless JSON, flat CSV; tables for papers in Markdown and LaTeX."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Literal

from ..escape import csv_cell, latex, markdown
from ..record.grades import grade_of
from ..record.reported import Reported
from ..record.strict_json import pretty
from ..scoring.board import Board, Row
from ..scoring.families import Envelope
from ..scoring.likeness import Likeness, likenesses
from ..scoring.stats import Number

__all__ = ["board_csv", "board_json", "table_text"]

_NUMBERS = ("score", "says", "holds", "robust_forgetting", "utility", "worst_case")
"""The numbers of a whole row."""

_COLUMNS = """suite suite_version submission model kind objective optimizer grade tier state rank
quantity task metric attack value low high measured retrain target_or_reference"""


def board_json(
    boards: Sequence[Board],
    reported: Sequence[Reported] = (),
    alike: Mapping[str, Sequence[Likeness]] | None = None,
) -> bytes:
    """Every number of every row, with its interval or the reason why there is none.

    Args:
        boards: the boards.
        reported: tables copied from publications.
        alike: submission id → what the row has in common with others; default: computed here.
    """
    if alike is None:
        alike = {key: found for board in boards for key, found in likenesses([r.entry for r in board.rows]).items()}
    return pretty(
        {
            "boards": [_board(board, alike) for board in boards],
            "paper_reported": [table.model_dump(mode="json") for table in reported],
        }
    )


def board_csv(boards: Sequence[Board]) -> bytes:
    """One line for each model and cell: what was measured, and what it means."""
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n")
    out.writerow(_COLUMNS.split())
    for board in boards:
        for row in board.rows:
            for line in _csv_lines(row):
                out.writerow([_cell(value) for value in [board.suite, board.suite_version, *_who(row), *line]])
    return text.getvalue().encode()


def table_text(board: Board, form: Literal["latex", "markdown", "text"]) -> str:
    """The board's table for a paper, a README or a terminal."""
    from tabulate import tabulate

    from ..scoring.board_table import board_rows, text

    if form == "text":
        return text(board)
    clean = latex if form == "latex" else markdown
    body = [{clean(key.replace("\n", " ")): clean(value) for key, value in line.items()} for line in board_rows(board)]
    return tabulate(body, headers="keys", tablefmt="latex_raw" if form == "latex" else "pipe", disable_numparse=True)


def _who(row: Row) -> list[object]:
    record, standing = row.record, row.entry.standing
    method = record.method
    return [
        record.submission_id, record.display_name, record.model.kind, method.objective, method.optimizer,
        grade_of(method.optimizer), standing.tier, standing.state, row.rank,
    ]  # fmt: skip


def _csv_lines(row: Row) -> list[list[object]]:
    lines: list[list[object]] = []
    for name in _NUMBERS:
        number = getattr(row, name)
        lines.append([name, None, None, None, number.value, number.low, number.high, None, None, None])
    for e in row.envelopes:
        lines.append(["savings", e.task, e.metric, e.attacker, e.savings.value, e.savings.low, e.savings.high])
        lines[-1] += [None, None, None]
    for f in row.forgetting:
        n = f.leakage
        lines.append(["leakage", *f.cell, n.value, n.low, n.high, f.value, f.retrain, f.target])
    for h in row.held:
        n = h.deviation
        lines.append(["deviation", *h.cell, n.value, n.low, n.high, h.value, h.retrain, h.target])
    for u in row.utilities:
        n = u.share
        lines.append(["utility_share", *u.cell, n.value, n.low, n.high, u.value, None, u.reference])
    return lines


def _cell(value: object) -> str:
    if value is None:
        return ""
    return repr(value) if isinstance(value, (int, float)) else csv_cell(str(value))


def _board(board: Board, alike: Mapping[str, Sequence[Likeness]]) -> dict[str, Any]:
    return {
        "suite": board.suite,
        "suite_version": board.suite_version,
        "scorer_version": board.scorer_version,
        "attacks": [attack.name for attack in board.attacks],
        "target": board.target.entry.id,
        "retrain": board.retrain.entry.id,
        "bootstrap": {"replicates": board.replicates, "seed": board.seed},
        "not_identifiable": [cell._asdict() for cell in board.not_identifiable],
        "rows": [{**_row(row), "labels": [str(x) for x in alike.get(row.entry.id, ())]} for row in board.rows],
    }


def _row(row: Row) -> dict[str, Any]:
    record, standing = row.record, row.entry.standing
    return {
        "submission_id": record.submission_id,
        "display_name": record.display_name,
        "kind": record.model.kind,
        "objective": record.method.objective,
        "optimizer": record.method.optimizer,
        "grade": grade_of(record.method.optimizer),
        "tier": standing.tier,
        "state": standing.state,
        "rank": row.rank,
        "unranked": row.unranked,
        **{name: _number(getattr(row, name)) for name in _NUMBERS},
        "decides": row.decides,
        "reported": _number(row.reported) if row.reported else None,
        "external": _number(row.external) if row.external else None,
        "worst": row.worst._asdict() if row.worst else None,
        "missing": list(row.missing),
        "over_unlearned": [cell._asdict() for cell in row.over_unlearned],
        "envelopes": [_envelope(envelope) for envelope in row.envelopes],
        "forgetting": [
            {**f.cell._asdict(), "value": f.value, "target": f.target, "retrain": f.retrain,
             "leakage": _number(f.leakage), "identifiable": f.identifiable}
            for f in row.forgetting
        ],
        "held": [
            {**h.cell._asdict(), "value": h.value, "target": h.target, "retrain": h.retrain,
             "deviation": _number(h.deviation), "identifiable": h.identifiable}
            for h in row.held
        ],
        "utilities": [
            {**u.cell._asdict(), "value": u.value, "reference": u.reference, "share": _number(u.share), "counts": u.counts}
            for u in row.utilities
        ],
    }  # fmt: skip


def _envelope(envelope: Envelope) -> dict[str, Any]:
    """Everything about an envelope, and the steps after which half of the gap is back."""
    halves = {"half": envelope.half(envelope.row), "half_retrain": envelope.half(envelope.retrain)}
    return {**asdict(envelope), **halves}


def _number(number: Number) -> dict[str, Any]:
    return asdict(number)
