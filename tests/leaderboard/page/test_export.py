"""Both families in JSON and CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable

import pytest

from robust_unlearn_bench.leaderboard.page.export import board_csv, board_json
from robust_unlearn_bench.leaderboard.scoring.board import Board, Row


def test_json_has_families_held_cells_and_envelopes(families: Board, family_row: Callable[[str], Row]) -> None:
    row = family_row("Shallow")
    told = next(r for r in json.loads(board_json([families]))["boards"][0]["rows"] if r["display_name"] == "Shallow")
    for name in ("score", "says", "holds", "robust_forgetting", "utility", "worst_case"):
        assert told[name]["value"] == getattr(row, name).value
        assert told[name]["low"] == getattr(row, name).low
    assert told["decides"] == "says"
    assert [h["deviation"]["value"] for h in told["held"]] == [h.deviation.value for h in row.held]
    assert "curves" not in told
    for envelope, own in zip(told["envelopes"], row.envelopes, strict=True):
        assert envelope["row"] == list(own.row)
        assert envelope["savings"]["value"] == own.savings.value
        assert envelope["half"] == own.half(own.row)
        assert envelope["half_retrain"] == own.half(own.retrain)


def test_csv_has_a_line_for_every_number(families: Board, family_row: Callable[[str], Row]) -> None:
    row = family_row("Silent")
    lines = [x for x in csv.DictReader(io.StringIO(board_csv([families]).decode())) if x["model"] == "Silent"]
    by_quantity = {
        quantity: [x for x in lines if x["quantity"] == quantity] for quantity in {x["quantity"] for x in lines}
    }
    assert float(by_quantity["holds"][0]["value"]) == row.holds.value
    assert float(by_quantity["worst_case"][0]["value"]) == row.worst_case.value
    assert len(by_quantity["savings"]) == len(row.envelopes)
    assert {x["attack"] for x in by_quantity["savings"]} == {"with the text", "without the text"}
    for line in by_quantity["deviation"]:
        known, base, top = (float(line[name]) for name in ("measured", "retrain", "target_or_reference"))
        assert float(line["value"]) == pytest.approx((known - base) / (top - base), abs=1e-12)
