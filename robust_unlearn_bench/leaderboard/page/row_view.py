"""Rows of a board as the page shows them: text, classes and links, with every number already formatted."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ..build.coverage import clean_group
from ..record.attack_id import AttackId
from ..record.grades import GRADES, Grade
from ..record.schema import Record
from ..scoring.board import Board, Row
from ..scoring.board_table import Column, columns_of, percent
from ..scoring.likeness import Likeness
from ..scoring.stats import Number
from .charts.canvas import GLYPHS

__all__ = [
    "TIER_WORDS",
    "Heat",
    "Line",
    "groups",
    "interval_text",
    "line_of",
    "meter",
    "page_name",
    "rerun",
    "short_page_name",
]

TIER_WORDS = {"replayed": "re-run", "recomputed": "recomputed", "self_reported": "self-reported"}
"""How far a row was checked, in words: nothing is called verified that was not run again."""

_FLAGS, _FLAG = 3, 60
"""Warnings of attacks that the index shows for a row, and the characters of each; its page shows them all."""


@dataclass(frozen=True, slots=True)
class Heat:
    """A coloured cell of the table.

    Attributes:
        text: the number.
        shade: CSS class of the colour, followed by "dec" where the cell decides.
        link: fragment identifier on the permalink page.
        tip: what is read on hovering.
    """

    text: str
    shade: str
    link: str
    tip: str


_KINDS = {
    "unlearned": "",
    "null": "knows nothing",
    "never_saw": "never saw the text",
    "dose": "learned a share of the text",
    "hider": "saw the text and hides it",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the table.

    Attributes:
        row: the numbers that the line shows.
        page: path of its permalink page, relative to the index.
        name: display name of the model.
        grade: grade of its optimizer, None for a control.
        glyph: the marker of the grade as a character.
        method: objective and optimizer, or what kind of control the model is.
        tier: how far the row was checked.
        state: whether the row stands, as in `Standing.state`.
        base: name of the base model, "" when it is unknown.
        families: forgetting by what the model says, and by what it holds.
        heat: the worst leakage under the attacks of each column.
        meter: the score and its interval as a small drawing.
        decided: the cell that decides the score.
        note: why the row is not ranked, or what is unusual about it.
    """

    row: Row
    page: str
    name: str
    grade: Grade | None
    glyph: str
    method: str
    tier: str
    state: str
    base: str
    families: tuple[Heat, ...]
    heat: tuple[Heat, ...]
    meter: str
    decided: str
    note: str


def page_name(entry_id: str) -> str:
    """File name of a permalink page: the whole id, of which two submissions never share more than chance allows."""
    return f"m/{entry_id.removeprefix('rub1-')}.html"


def short_page_name(entry_id: str) -> str:
    """File name under which the page was linked to once: 40 bits, which can be made to collide in seconds."""
    return f"m/{entry_id.removeprefix('rub1-')[:10]}.html"


def groups(board: Board, alike: Mapping[str, Sequence[Likeness]]) -> list[tuple[str, str, list[Line]]]:
    """The lines of the table in groups: ranked rows, rows that are not ranked, controls.

    Args:
        board: the board.
        alike: submission id → what the row has in common with others.

    Returns:
        (key, heading, lines) of every group that is not empty.
    """
    others = [r for r in board.rows if not r.control]
    columns = columns_of(board)
    parts = (
        ("ranked", "Ranked", [r for r in others if r.rank is not None]),
        ("unranked", "Not ranked", [r for r in others if r.rank is None]),
        ("controls", "Controls: the ends of the scale", [r for r in board.rows if r.control]),
    )
    return [
        (key, title, [line_of(row, board, columns, alike.get(row.entry.id, ())) for row in rows])
        for key, title, rows in parts
        if rows
    ]


def line_of(row: Row, board: Board, columns: Sequence[Column], alike: Sequence[Likeness] = ()) -> Line:
    """Format one row of a board.

    Args:
        row: the row.
        board: its board.
        columns: the columns of the attacks, `columns_of(board)`.
        alike: what the row has in common with others.
    """
    record, standing = row.entry.record, row.entry.standing
    tier = TIER_WORDS[standing.tier]
    shown = row.control or row.unranked in (None, standing.tier.replace("_", " "))
    notes = [] if shown else [str(row.unranked)]
    if row.over_unlearned and not row.control:
        notes.append("over-unlearned: knows less than the retrain model")
    notes += [f"{likeness.what} {likeness.name}" for likeness in alike[:_FLAGS]]
    flags = sorted({flag for attack in record.attacks for flag in attack.flags})
    notes += [_short(flag.replace("_", " ")) for flag in flags[:_FLAGS]]
    if more := max(len(flags) - _FLAGS, 0) + max(len(alike) - _FLAGS, 0):
        notes.append(f"and {more} more")
    method = " · ".join(part for part in (record.method.objective, record.method.optimizer) if part)
    return Line(
        row=row,
        page=page_name(row.entry.id),
        name=record.display_name,
        grade=row.grade,
        glyph=GLYPHS[row.grade] if row.grade else "×",
        method=method or _KINDS.get(record.model.kind, record.model.kind),
        tier=tier,
        state=standing.state,
        base=record.model.base or "",
        families=(_family(row, "says"), _family(row, "holds")),
        heat=tuple(_heat(row, column) for column in columns),
        meter=meter(row.score),
        decided="–" if row.worst is None else f"{row.worst.task.removeprefix(board.suite + '_')}, {row.worst.attack}",
        note="; ".join(notes),
    )


def _short(text: str) -> str:
    return text if len(text) <= _FLAG else text[: _FLAG - 1] + "…"


def meter(number: Number) -> str:
    """Draw a small bar, the interval as a band and the value as a tick; "" when the value is undefined."""
    if number.value is None:
        return ""
    low = number.value if number.low is None else number.low
    high = number.value if number.high is None else number.high
    at = [f"{2 + 60 * value:.0f}" for value in (low, high, number.value)]
    return f'<svg class=mt viewBox="0 0 64 12"><path d="M{at[0]} 6H{at[1]}"/><path d="M{at[2]} 1v10"/></svg>'


def rerun(record: Record, attack: AttackId) -> str | None:
    """The command that measures this model under this attack again; None where the parameters are not the suite's own.

    The model's arguments are one JSON object: lm-eval would split `key=value,…` at every comma of a value.
    """
    if not attack.own:
        return None
    group = clean_group(record.suite.name) if attack.name == "none" else f"{record.suite.name}__{attack.name}"
    model = record.model
    named = {"pretrained": model.name, "revision": model.revision, "dtype": model.dtype}
    arguments: dict[str, object] = {key: value for key, value in named.items() if value is not None}
    arguments |= {"use_safetensors": True, "trust_remote_code": False}
    words = ["lm_eval", "--tasks", group, "--model", "hf", "--model_args", json.dumps(arguments)]
    return shlex.join([*words, "--output_path", "results", "--log_samples"])


def interval_text(number: Number) -> str:
    """The interval as `51.0 to 63.9`, or the reason why there is none."""
    if number.low is None or number.high is None:
        return number.why or ""
    return f"{percent(number.low)} to {percent(number.high)}"


def heat_class(value: float | None) -> str:
    """CSS class of a leakage: h0 … h10 for 0 … 1, "lo" clearly below 0, "na" when it is unknown."""
    if value is None:
        return "na"
    return "lo" if value < -0.05 else f"h{round(10 * min(max(value, 0.0), 1.0))}"


def trace_class(value: float | None) -> str:
    """CSS class of a deviation, whichever its direction."""
    return heat_class(None if value is None else abs(value))


def options(boards: Sequence[Board]) -> Mapping[str, list[str]]:
    """Name of every filter of the page → the values that it offers."""
    rows = [row for board in boards for row in board.rows]
    grades = [g for g in GRADES if any(row.grade == g for row in rows)]
    return {
        "suite": [board.suite for board in boards],
        "attack": list(dict.fromkeys(column.key for board in boards for column in columns_of(board))),
        "tier": [TIER_WORDS[t] for t in TIER_WORDS if any(row.entry.standing.tier == t for row in rows)],
        "objective": sorted({row.record.method.objective for row in rows if row.record.method.objective}),
        "grade": grades,
        "base": sorted({row.record.model.base for row in rows if row.record.model.base}),
    }


def _family(row: Row, family: Literal["says", "holds"]) -> Heat:
    """Forgetting by one family; the less is forgotten, the darker."""
    number = row.says if family == "says" else row.holds
    shade = heat_class(None if number.value is None else 1 - number.value)
    return Heat(percent(number.value), shade + _framed(row.decides == family), family, interval_text(number))


def _heat(row: Row, column: Column) -> Heat:
    """The leakiest identifiable metric under the attacks of one column."""
    known = {attack.name: row.leakage_under(attack.name) for attack in column.attacks}
    found = {name: leak for name, leak in known.items() if leak is not None}
    decides = row.worst is not None and row.worst.attack in column.names
    if not found:
        return Heat("–", "na" + _framed(decides), _section(row, column.attacks[0]), column.title)
    worst = max(column.attacks, key=lambda attack: found.get(attack.name, -math.inf))
    leak = found[worst.name]
    return Heat(f"{round(100 * leak):d}", heat_class(leak) + _framed(decides), worst.fragment, worst.name)


def _section(row: Row, attack: AttackId) -> str:
    """Where the permalink page shows an attack: a suite may measure one family only under it."""
    if any(f.cell.attack == attack.name for f in row.forgetting):
        return attack.fragment
    return f"h-{attack.fragment}" if any(h.cell.attack == attack.name for h in row.held) else "says"


def _framed(decides: bool) -> str:
    return " dec" if decides else ""
