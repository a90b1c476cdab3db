"""What the charts show of a row."""

from __future__ import annotations

from dataclasses import dataclass

from ...scoring.board import Row

__all__ = ["Mark", "mark_of"]


@dataclass(frozen=True, slots=True, eq=False)
class Mark:
    """A row's name and grade.

    Attributes:
        name: display name of the model.
        grade: grade of its optimizer; None for a control.
        row: the numbers of the model.
    """

    name: str
    grade: str | None
    row: Row


def mark_of(row: Row) -> Mark:
    """The mark of one row."""
    return Mark(row.record.display_name, row.grade, row)
