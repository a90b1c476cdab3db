"""Records of what a model knows after attacks, their score, the page and the gate: JSON in, JSON and HTML out.

Nothing here imports torch, transformers, lm-eval or datasets; numpy and pydantic load with the name that needs them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .build.from_results import Built, record_from_results
    from .page.site import build_page
    from .record.entry import Entry, load
    from .record.schema import Record
    from .scoring.board import Board, Row
    from .scoring.scorer import score

__all__ = ["Board", "Built", "Entry", "Record", "Row", "build_page", "load", "record_from_results", "score"]

_HOME = {
    "Board": "scoring.board",
    "Built": "build.from_results",
    "Entry": "record.entry",
    "Record": "record.schema",
    "Row": "scoring.board",
    "build_page": "page.site",
    "load": "record.entry",
    "record_from_results": "build.from_results",
    "score": "scoring.scorer",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)
