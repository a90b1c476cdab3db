"""The board as rows of text, for terminals and for Markdown and LaTeX tables."""

from __future__ import annotations

from ..record.attack_id import AttackId
from ..record.grades import grade_of
from .board import Board, Row
from .measure import Cell
from .stats import Number

__all__ = ["board_rows", "columns_of", "describe_cell", "percent", "text", "verdict", "with_interval"]


def board_rows(board: Board) -> list[dict[str, str]]:
    """One mapping for each model, in the order of the board: header → text, with percentages without their sign.

    Columns: rank, model, optimizer grade; forgetting and utility under each attack, where attacks that differ in
    their amount alone share a column that shows the worst of them; 1 − the largest leakage; forgetting by what the model says and by
    what it holds, and the smaller of both; utility, score with its interval; where others found attacks, the score with
    all of them added, and with the verified ones; the attack that decides the score.
    """
    columns = columns_of(board)
    attacked = any(row.reported is not None for row in board.rows)
    table = []
    for row in board.rows:
        line = {
            "#": "" if row.rank is None else str(row.rank),
            "model": row.record.display_name,
            "grade": grade_of(row.record.method.optimizer) or "",
        }
        for title, attacks in columns.items():
            leaked, kept = row.leaked(attacks), row.kept(attacks)
            line[f"{title}\nforgot/useful"] = f"{percent(None if leaked is None else 1 - leaked)} / {percent(kept)}"
        line["worst\ncase"] = percent(row.worst_case.value)
        line["says"] = percent(row.says.value)
        line["holds"] = percent(row.holds.value)
        line["robust\nforgetting"] = percent(row.robust_forgetting.value)
        line["utility"] = percent(row.utility.value)
        line["score\n95 % interval"] = with_interval(row.score)
        if attacked:
            line["reported"], line["external"] = (
                "" if number is None else percent(number.value) for number in (row.reported, row.external)
            )
        line["decided by"] = verdict(row, board)
        table.append(line)
    return table


def columns_of(board: Board) -> dict[str, tuple[str, ...]]:
    """Column title → names of its attacks: `relearn10`, `relearn20` and `relearn50` share the column `relearn≤50`."""
    columns: dict[str, list[AttackId]] = {}
    for attack in board.attacks:
        columns.setdefault(attack.line or attack.name, []).append(attack)
    titled = {}
    for line, attacks in columns.items():
        ordered = sorted(attacks, key=lambda attack: attack.amount or 0)
        title = f"{line}≤{ordered[-1].amount}" if len(ordered) > 1 else ordered[0].name
        titled[title] = tuple(attack.name for attack in ordered)
    return titled


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
    """What decides the score, or why there is none."""
    if row.score.value is None:
        return row.score.why or ""
    return "nothing leaks" if row.worst is None else describe_cell(row.worst, board.suite)


def percent(value: float | None) -> str:
    """A fraction in percent with one decimal, such as 57.4 for 0.574; a dash when it is unknown."""
    return "–" if value is None else f"{round(100 * value, 1) + 0.0:.1f}"  # + 0.0: no minus before a zero


def with_interval(number: Number) -> str:
    """The value and its interval in percent, such as `57.4 [51.0, 63.9]`."""
    if number.value is None or number.low is None or number.high is None:
        return percent(number.value)
    return f"{percent(number.value)} [{percent(number.low)}, {percent(number.high)}]"
