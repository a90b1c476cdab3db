"""Derived scores, written beside the records and compared with the scores that were there before."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .page.export import board_json
from .scoring.board import Board

__all__ = ["Change", "rescore"]


@dataclass(frozen=True, slots=True)
class Change:
    """A row whose score or rank has changed.

    Attributes:
        suite: name of the suite.
        model: display name of the model.
        score: score before and after; None where the row was not there, or has no score.
        rank: rank before and after; None where the row was not there, or has no rank.
    """

    suite: str
    model: str
    score: tuple[float | None, float | None]
    rank: tuple[int | None, int | None]


def rescore(boards: list[Board], folder: Path) -> list[Change]:
    """Write `<suite>-<version>.json` for every board and return every row that changed.

    Args:
        boards: the boards as they are scored now.
        folder: folder of the score files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    changes = []
    for board in boards:
        path = folder / f"{board.suite}-{board.suite_version}.json"
        old = _rows(path.read_bytes()) if path.is_file() else {}
        raw = board_json([board])
        new = _rows(raw)
        for key in sorted({*old, *new}):
            before, after = old.get(key), new.get(key)
            pair = _score(before), _score(after)
            ranks = _rank(before), _rank(after)
            if ranks[0] != ranks[1] or _moved(*pair):
                changes.append(Change(board.suite, (after or before or {})["display_name"], pair, ranks))
        path.write_bytes(raw)
    return changes


def _rows(raw: bytes) -> dict[str, dict[str, Any]]:
    return {row["submission_id"]: row for row in json.loads(raw)["boards"][0]["rows"]}


def _score(row: dict[str, Any] | None) -> float | None:
    return None if row is None else row["score"]["value"]


def _rank(row: dict[str, Any] | None) -> int | None:
    return None if row is None else row["rank"]


def _moved(a: float | None, b: float | None) -> bool:
    return a is not b if a is None or b is None else abs(a - b) > 1e-9
