from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from simulated_records import TASKS, World, config_of

from robust_unlearn_bench.leaderboard.page.row_view import line_of, options, rerun, trace_class
from robust_unlearn_bench.leaderboard.record.attack_id import AttackId
from robust_unlearn_bench.leaderboard.scoring.board import Board, Row
from robust_unlearn_bench.leaderboard.scoring.board_table import columns_of
from robust_unlearn_bench.leaderboard.scoring.stats import Number


@pytest.mark.parametrize(
    ("suite", "attack", "group"),
    [
        ("nano_books", "none", "nano_books"),
        ("nano_books", "relearn20_retain", "nano_books__relearn20_retain"),
        ("wmdp_bio", "none", "wmdp_bio__none"),  # wmdp_bio is a task of lm-eval's own
        ("of_another_package", "none", "of_another_package"),
    ],
)
def test_the_group_that_measures_an_attack_again(suite: str, attack: str, group: str) -> None:
    record = World(suite=suite, clusters=2).entry("Model", {"none": dict.fromkeys(TASKS, 0.5)}).record
    command = rerun(record, AttackId.of(attack, [config_of(attack)]))
    assert str(command).startswith(f"lm_eval --tasks {group} --model hf ")
    assert rerun(record, AttackId.of(f"{attack}@0123456789ab", [config_of(attack)])) is None


@pytest.mark.parametrize(("name", "framed"), [("Silent", [False, True]), ("Shallow", [True, False])])
def test_the_family_and_the_attack_that_decide_are_framed(
    families: Board, family_row: Callable[[str], Row], name: str, framed: list[bool]
) -> None:
    row, columns = family_row(name), columns_of(families)
    line = line_of(row, families, columns)
    assert ["dec" in heat.shade.split() for heat in line.families] == framed
    assert [heat.link for heat in line.families] == ["says", "holds"]
    decided = [column for column, heat in zip(columns, line.heat, strict=True) if "dec" in heat.shade.split()]
    assert row.worst is not None
    assert [row.worst.attack in column.names for column in decided] == [True]


def test_a_column_shows_its_worst_station_and_leads_there(families: Board, family_row: Callable[[str], Row]) -> None:
    row, columns = family_row("Silent"), columns_of(families)
    at = next(i for i, column in enumerate(columns) if column.key == "relearn_const_x5")
    names = columns[at].names
    worst = max(names, key=lambda name: row.leakage_under(name) or 0.0)
    heat = line_of(row, families, columns).heat[at]
    assert heat.text == f"{round(100 * (row.leakage_under(worst) or 0.0)):d}"
    assert (heat.tip, heat.link) == (worst, worst)


@pytest.mark.parametrize(("held", "link"), [(True, "h-relearn20_retain"), (False, "says")])
def test_an_attack_under_which_nothing_is_asked_leads_to_what_is_measured(
    families: Board, family_row: Callable[[str], Row], held: bool, link: str
) -> None:
    row = family_row("Shallow")
    asked = tuple(f for f in row.forgetting if f.cell.attack != "relearn20_retain")
    row = replace(row, forgetting=asked, held=row.held if held else ())
    heat = line_of(row, families, columns_of(families)).heat[-1]
    assert (heat.text, heat.shade, heat.link) == ("–", "na", link)


def test_a_family_that_was_not_measured_is_a_dash_without_colour(families: Board, family_row) -> None:
    row = replace(family_row("Shallow"), holds=Number(None, why="nothing is measured"))
    says, holds = line_of(row, families, columns_of(families)).families
    assert (holds.text, holds.shade, holds.tip) == ("–", "na", "nothing is measured")
    assert says.shade.endswith(" dec")


def test_the_filter_offers_the_columns(families: Board) -> None:
    assert options([families])["attack"] == ["none", "gptq4", "relearn_const_x5", "relearn_retain"]


def test_a_trace_is_as_dark_in_either_direction() -> None:
    assert trace_class(-0.5) == trace_class(0.5) == "h5"
    assert trace_class(None) == "na"
