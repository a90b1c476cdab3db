"""What the charts need to know of a row."""

from __future__ import annotations

from dataclasses import dataclass

from ...record.grades import grade_of
from ...score.board import Row

__all__ = ["Mark", "mark_of"]


@dataclass(frozen=True, slots=True, eq=False)
class Mark:
    """A row's name and grade.

    Attributes:
        name: display name.
        grade: of its optimizer; None for target, retrain and models that know nothing.
        row: the numbers.
    """

    name: str
    grade: str | None
    row: Row


def mark_of(row: Row) -> Mark:
    """Controls have no grade, whatever their record says."""
    control = row.record.model.kind != "unlearned" or row.unranked == "anchor"
    return Mark(row.record.display_name, None if control else grade_of(row.record.method.optimizer) or "other", row)
