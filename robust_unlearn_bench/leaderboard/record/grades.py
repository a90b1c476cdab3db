"""The grade of a row: that of its optimizer in the registry, or "other"."""

from __future__ import annotations

from ... import optimizers
from ...errors import PluginError
from ...optimizers import GRADES, Grade

__all__ = ["GRADES", "Grade", "grade_of"]

_ALIASES = {"adamw": "adam", "zo": "ada_zo"}


def grade_of(optimizer: str | None) -> Grade | None:
    """Grade of an optimizer by its registry name; "other" for an unknown one, None where nothing was optimized."""
    if optimizer is None:
        return None
    name = _ALIASES.get(optimizer.lower(), optimizer.lower())
    try:
        return optimizers.grade_of(name) if name in optimizers.OPTIMIZERS else "other"
    except PluginError:
        return "other"
