"""What the cells of a sweep gave: one row per cell and attack, or per attack and settings over all seeds."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from .sweep_folder import CellStatus

__all__ = ["over_seeds", "table_rows"]

Row = dict[str, Any]


def table_rows(cells: Sequence[CellStatus]) -> list[Row]:
    """Return one row per cell and attack.

    A cell without result has one row with its state and, if it failed, the reason.

    Args:
        cells: cells of a sweep.

    Returns:
        Rows {"suite", "recipe", the grid's parameters, "seed", "attack", "state", "<leaf> <metric>": value …, "seconds"}
        with fractions as values; a value that is undefined is None.
    """
    rows: list[Row] = []
    for status in cells:
        cell, result = status.cell, status.folder.result
        head = {"suite": cell.suite, "recipe": cell.recipe, **_plain(cell.settings), "seed": cell.seed}
        if result is None:
            why = {"reason": status.reason} if status.reason else {}
            rows.append({**head, "attack": " ".join(cell.attacks), "state": status.state, **why})
            continue
        by_attack: dict[str, Row] = {}
        for entry in result["values"]:
            row = by_attack.setdefault(entry["attack"], {**head, "attack": entry["attack"], "state": "done"})
            row[f"{entry['leaf']} {entry['metric']}"] = entry["value"]
        seconds = round(sum(result["seconds"].values()), 1)
        rows += [{**row, "seconds": seconds} for row in by_attack.values()]
    return rows


def over_seeds(rows: Sequence[Row]) -> list[Row]:
    """Return rows with mean and standard deviation over seeds: "0.412 ± 0.020", and the number of seeds.

    Rows of cells without a result stay as they are. Values that are undefined for any seed are "–".

    Args:
        rows: rows of `table_rows`.
    """
    groups: dict[str, list[Row]] = {}
    for row in rows:
        numbers = ("seed", "seconds", *_metrics(row)) if row["state"] == "done" else ()
        key = json.dumps({name: value for name, value in row.items() if name not in numbers}, sort_keys=True)
        groups.setdefault(key, []).append(row)
    merged = []
    for members in groups.values():
        first = members[0]
        if first["state"] != "done":
            merged += members
            continue
        means = {name: _spread([row.get(name) for row in members]) for name in _metrics(first)}
        head = {k: v for k, v in first.items() if k not in ("seed", "seconds") and k not in means}
        merged.append({**head, "seeds": len(members), **means})
    return merged


def _metrics(row: Mapping[str, Any]) -> list[str]:
    return [name for name in row if " " in name]


def _spread(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return "–"
    if len(known) == 1:
        return f"{known[0]:.3f}"
    return f"{statistics.mean(known):.3f} ± {statistics.stdev(known):.3f}"


def _plain(settings: Mapping[str, Any]) -> Row:
    return {
        name: value if isinstance(value, (str, int, float)) else json.dumps(value) for name, value in settings.items()
    }
