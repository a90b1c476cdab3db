"""The permalink page: tiles, the deciding sentence, envelopes, likelihoods."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from robust_unlearn_bench.leaderboard.page.model_page import model_values
from robust_unlearn_bench.leaderboard.page.row_view import page_name
from robust_unlearn_bench.leaderboard.page.site import render
from robust_unlearn_bench.leaderboard.scoring.board import Board, Row
from robust_unlearn_bench.leaderboard.scoring.board_table import percent


@pytest.fixture(scope="module")
def page(families: Board, family_row: Callable[[str], Row]) -> Callable[[str], str]:
    site = render([families])
    return lambda name: site[page_name(family_row(name).entry.id)].decode()


@pytest.mark.parametrize(("name", "title"), [("Silent", "Holds: forgotten"), ("Shallow", "Says: forgotten")])
def test_one_tile_is_framed(page: Callable[[str], str], name: str, title: str) -> None:
    assert re.findall(r'<div class="tile dec"><span>([^<]*)', page(name)) == [title]


def test_the_sentence_about_a_deciding_likelihood(families: Board, family_row: Callable[[str], Row]) -> None:
    row = family_row("Silent")
    told = model_values(row, families)["decision"]
    held = next(h for h in row.held if h.cell == row.worst)
    assert told.startswith(f"Decided by what it still holds: answer_prob under {held.cell.attack} is ")
    assert told.endswith(f"a deviation of {percent(held.deviation.value)}.")


def test_the_sentence_about_deciding_savings(families: Board, family_row: Callable[[str], Row]) -> None:
    row = family_row("Shallow")
    told = model_values(row, families)["decision"]
    assert row.leading is not None
    assert f"saves an attacker with the text {percent(row.leading.savings.value)} % of the work" in told
    assert "It shows most within 10 steps (relearn_const10_x5)" in told
    assert model_values(families.retrain, families)["decision"] == ""


def test_every_held_cell_has_a_line_and_the_deciding_one_a_frame(
    page: Callable[[str], str], family_row: Callable[[str], Row]
) -> None:
    section = page("Silent").partition('<section id="holds">')[2].partition("</section>")[0]
    row = family_row("Silent")
    assert len(re.findall(r"answer_prob prob", section)) == len(row.held) == 3
    assert row.worst is not None
    body = section.partition(f'<tbody id="h-{row.worst.attack}">')[2].partition("</tbody>")[0]
    assert " dec" in body
    assert section.count(" dec") == 1


def test_work_is_shown_by_metric_and_attacker_and_drawn_where_there_is_a_curve(page: Callable[[str], str]) -> None:
    section = page("Shallow").partition('<section id="says">')[2].partition("</section>")[0]
    assert section.count('<th scope="row">') == 4  # two metrics, two attackers
    assert section.count("<svg") == 2  # without the text there is one budget


def test_a_suite_without_likelihoods_says_so(cast, site_of_cast: dict[str, bytes]) -> None:
    pages = [raw.decode() for name, raw in site_of_cast.items() if name.startswith("m/")]
    text = next(page for page in pages if "has moved to" not in page)
    assert "This suite version has no metric of likelihoods." in text


@pytest.fixture(scope="module")
def site_of_cast(cast) -> dict[str, bytes]:
    from robust_unlearn_bench.leaderboard.scoring.scorer import score

    return render([score([cast["adam"]], cast["target"], cast["retrain"], replicates=50)])
