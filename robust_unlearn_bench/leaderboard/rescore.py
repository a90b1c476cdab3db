"""Derived scores, written beside the records and compared with the scores that were there before."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import RecordError
from .page.export import board_json
from .scoring.board import Board

__all__ = ["Change", "rescore"]


@dataclass(frozen=True, slots=True)
class Change:
    """A row before and after; None where the row was not there, or lacks the number.

    Attributes:
        suite: name of the suite.
        model: display name of the model.
        scorer: version of the scorer before and after.
        score: the score.
        says: forgetting by what the model says; scorer 1 did not know it.
        holds: forgetting by what the model holds; scorer 1 did not know it.
        rank: the rank.
    """

    suite: str
    model: str
    scorer: tuple[str | None, str]
    score: tuple[float | None, float | None]
    says: tuple[float | None, float | None]
    holds: tuple[float | None, float | None]
    rank: tuple[int | None, int | None]


def rescore(boards: list[Board], folder: Path, *, since: str | None = None) -> list[Change]:
    """Write `<suite>-<version>.json` for every board and return every row that changed.

    The scores of another scorer are kept in `scorer-<its version>/`, so that its boards stay readable. A row has changed
    when its score or its rank has, or when another scorer had scored it.

    Args:
        boards: the boards as they are scored now.
        folder: folder of the score files.
        since: compare with the kept scores of this version of the scorer instead of those that are replaced.

    Raises:
        RecordError: no scores of that version are kept.
    """
    folder.mkdir(parents=True, exist_ok=True)
    changes = []
    for board in boards:
        path = folder / f"{board.suite}-{board.suite_version}.json"
        replaced = path.read_bytes() if path.is_file() else None
        version, old = _read(replaced)
        if replaced is not None and version != board.scorer_version:
            kept = _kept(path, str(version))
            kept.parent.mkdir(exist_ok=True)
            kept.write_bytes(replaced)
        if since is not None:
            if not _kept(path, since).is_file():
                raise RecordError(f"{_kept(path, since)}: no such file; no scores of scorer {since} are kept there")
            version, old = _read(_kept(path, since).read_bytes())
        raw = board_json([board])
        _, new = _read(raw)
        for key in dict.fromkeys([*new, *sorted(old)]):
            before, after = old.get(key), new.get(key)
            change = Change(
                suite=f"{board.suite} {board.suite_version}",
                model=(after or before or {})["display_name"],
                scorer=(version, board.scorer_version),
                score=(_value(before, "score"), _value(after, "score")),
                says=(_value(before, "says"), _value(after, "says")),
                holds=(_value(before, "holds"), _value(after, "holds")),
                rank=(_rank(before), _rank(after)),
            )
            if version != board.scorer_version or change.rank[0] != change.rank[1] or _moved(*change.score):
                changes.append(change)
        path.write_bytes(raw)
    return changes


def _kept(path: Path, version: str) -> Path:
    """Where the scores of another scorer are kept."""
    return path.parent / f"scorer-{version}" / path.name


def _read(raw: bytes | None) -> tuple[str | None, dict[str, dict[str, Any]]]:
    """Version of the scorer, and submission → row, in the order of the board."""
    if raw is None:
        return None, {}
    (board,) = json.loads(raw)["boards"]
    return board["scorer_version"], {row["submission_id"]: row for row in board["rows"]}


def _value(row: dict[str, Any] | None, name: str) -> float | None:
    """A number of a row; None where the scorer that wrote it did not know it."""
    found: dict[str, float | None] = {} if row is None else row.get(name, {})
    return found.get("value")


def _rank(row: dict[str, Any] | None) -> int | None:
    return None if row is None else row["rank"]


def _moved(a: float | None, b: float | None) -> bool:
    return a is not b if a is None or b is None else abs(a - b) > 1e-9
