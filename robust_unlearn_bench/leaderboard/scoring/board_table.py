"""The board as rows of text, for terminals and for Markdown and LaTeX tables."""

from __future__ import annotations

from dataclasses import dataclass

from ..record.attack_id import AttackId
from ..record.grades import grade_of
from .board import Board, Row
from .measure import Cell
from .stats import Number

__all__ = ["Column", "board_rows", "columns_of", "describe_cell", "percent", "text", "verdict", "with_interval"]


@dataclass(frozen=True, slots=True)
class Column:
    """Attacks that share a column: they differ in their amount alone.

    Attributes:
        key: what they have in common, as `AttackId.line` names it; the name of an attack without an amount.
        title: the name of the only attack, or key and largest amount, such as `relearn≤50`.
        attacks: the attacks, the smallest amount first.
    """

    key: str
    title: str
    attacks: tuple[AttackId, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the attacks."""
        return tuple(attack.name for attack in self.attacks)


def board_rows(board: Board) -> list[dict[str, str]]:
    """One mapping for each model, in the order of the board: header → text, with percentages without their sign.

    Columns: rank, model, optimizer grade; score with its interval, forgetting by what the model says and by what it
    holds, utility; 1 − the largest leakage; forgetting and utility under each attack, where attacks that differ in their
    amount alone share a column that shows the worst of them; where others found attacks, the score with all of
    them added, and with the verified ones; what decides.
    """
    columns = columns_of(board)
    attacked = any(row.reported is not None for row in board.rows)
    table = []
    for row in board.rows:
        line = {
            "#": "" if row.rank is None else str(row.rank),
            "model": row.record.display_name,
            "grade": grade_of(row.record.method.optimizer) or "",
            "score\n95 % interval": with_interval(row.score),
            "says": percent(row.says.value),
            "holds": percent(row.holds.value),
            "utility": percent(row.utility.value),
            "worst\ncase": percent(row.worst_case.value),
        }
        for column in columns:
            leaked, kept = row.leaked(column.names), row.kept(column.names)
            line[f"{column.title}\nforgot/useful"] = (
                f"{percent(None if leaked is None else 1 - leaked)} / {percent(kept)}"
            )
        if attacked:
            line["reported"], line["external"] = (
                "" if number is None else percent(number.value) for number in (row.reported, row.external)
            )
        line["decided by"] = verdict(row, board)
        table.append(line)
    return table


def columns_of(board: Board) -> list[Column]:
    """The columns of the attacks: `relearn10`, `relearn20` and `relearn50` share the column `relearn≤50`."""
    columns: dict[str, list[AttackId]] = {}
    for attack in board.attacks:
        columns.setdefault(attack.line or attack.name, []).append(attack)
    found = []
    for key, attacks in columns.items():
        ordered = sorted(attacks, key=lambda attack: attack.amount or 0)
        title = f"{key}≤{ordered[-1].amount}" if len(ordered) > 1 else ordered[0].name
        found.append(Column(key, title, tuple(ordered)))
    return found


def describe_cell(cell: Cell, suite: str) -> str:
    """The cell in words, such as `knowmem_forget under relearn50`."""
    return f"{cell.task.removeprefix(suite + '_')} under {cell.attack}"


def text(board: Board) -> str:
    """The table as a terminal shows it."""
    from tabulate import tabulate

    body = board_rows(board)
    words = ("model", "grade", "decided by")
    align = ["left" if header in words else "right" for header in body[0]]
    return tabulate(body, headers="keys", colalign=align, disable_numparse=True)


def verdict(row: Row, board: Board) -> str:
    """The family, metric and attack that decide the score, or why there is none."""
    if row.score.value is None:
        return row.score.why or ""
    return "nothing leaks" if row.worst is None else f"{row.decides}: {describe_cell(row.worst, board.suite)}"


def percent(value: float | None) -> str:
    """A fraction in percent with one decimal, such as 57.4 for 0.574; a dash when it is unknown."""
    return "–" if value is None else f"{round(100 * value, 1) + 0.0:.1f}"  # + 0.0: no minus before a zero


def with_interval(number: Number) -> str:
    """The value and its interval in percent, such as `57.4 [51.0, 63.9]`."""
    if number.value is None or number.low is None or number.high is None:
        return percent(number.value)
    return f"{percent(number.value)} [{percent(number.low)}, {percent(number.high)}]"
