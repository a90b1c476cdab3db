"""The grade of a row: that of its optimizer in the optimizers' own table, or "other"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from ...optimizers import table

__all__ = ["GRADES", "Grade", "grade_of"]

Grade = table.Grade | Literal["other"]

GRADES: Mapping[str, str] = {**table.GRADE_WORDS, "other": "other or unknown"}
"""Grade → words, from high to low information."""

_ALIASES = {"adamw": "adam", "zo": "ada_zo"}


def grade_of(optimizer: str | None) -> Grade | None:
    """Grade of an optimizer by its registry name; "other" for an unknown one, None where nothing was optimized."""
    if optimizer is None:
        return None
    name = optimizer.lower()
    row = table.GRADES.get(_ALIASES.get(name, name))
    return row.grade if row else "other"
