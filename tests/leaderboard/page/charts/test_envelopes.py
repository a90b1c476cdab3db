"""The drawing of envelopes, checked by its coordinates."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest

from robust_unlearn_bench.leaderboard.page.charts.envelopes import envelope_chart, half_text, shares
from robust_unlearn_bench.leaderboard.page.charts.marks import mark_of
from robust_unlearn_bench.leaderboard.scoring.board import Row
from robust_unlearn_bench.leaderboard.scoring.families import Envelope
from robust_unlearn_bench.leaderboard.scoring.stats import Number

ENVELOPE = Envelope(
    task="t",
    metric="m",
    attacker="with the text",
    budgets=(0, 10, 20, 40),
    row=(0.2, 0.4, 0.8, 0.9),
    target=(0.9, 0.9, 0.9, 0.9),
    retrain=(0.1, 0.1, 0.3, 0.7),
    attacks=("none", "a", "b", "c"),
    counted=3,
    savings=Number(0.5, 0.4, 0.6),
    identifiable=True,
)


def points(svg: str, kind: str) -> list[tuple[float, float]]:
    """The points of the first path of a class."""
    path = re.search(rf'<path d="([^"]*)" class="{kind}"/>', svg)
    assert path is not None
    return [(float(x), float(y)) for x, y in re.findall(r"([\d.]+) ([\d.]+)", path[1])]


def test_shares_of_the_gap_between_the_unattacked_controls() -> None:
    assert shares(ENVELOPE, ENVELOPE.row) == pytest.approx([0.125, 0.375, 0.875, 1.0])
    assert shares(ENVELOPE, ENVELOPE.target) == pytest.approx([1.0] * 4)


def test_half_is_read_on_the_logarithmic_axis() -> None:
    assert half_text(ENVELOPE, ENVELOPE.row) == "12"  # a quarter of the doubling from 10 to 20
    assert half_text(ENVELOPE, ENVELOPE.target) == "0"
    assert half_text(ENVELOPE, (0.1, 0.1, 0.2, 0.3)) == "> 40"


def test_the_axis_is_logarithmic_and_zero_stands_apart(family_row: Callable[[str], Row]) -> None:
    svg = envelope_chart([(mark_of(family_row("Shallow")), ENVELOPE)], "k", "metric")
    line, hint = points(svg, "line g-hybrid"), points(svg, "line g-hybrid hint")
    widths = [b[0] - a[0] for a, b in pairwise(line)]
    assert widths[0] == pytest.approx(widths[1], abs=0.2)  # equal doublings
    assert hint[1] == line[0]
    assert hint[1][0] - hint[0][0] == pytest.approx(1.5 * widths[0], abs=0.2)
    heights = [330 * (1 - (share + 0.1) / 1.2) + 30 for share in shares(ENVELOPE, ENVELOPE.row)]
    assert [y for _, y in line] == pytest.approx(heights[1:], abs=0.1)


def test_both_references_are_drawn_and_the_budget_that_no_longer_counts(family_row: Callable[[str], Row]) -> None:
    svg = envelope_chart([(mark_of(family_row("Shallow")), ENVELOPE)], "k", "metric")
    assert svg.count('class="reference"') == 2
    assert "no longer counted" in svg
    assert "no longer counted" not in envelope_chart(
        [(mark_of(family_row("Shallow")), replace(ENVELOPE, counted=4))], "k", "metric"
    )


def test_a_single_budget_is_no_curve(family_row: Callable[[str], Row]) -> None:
    short = replace(
        ENVELOPE,
        budgets=(0, 20),
        row=(0.2, 0.4),
        target=(0.9, 0.9),
        retrain=(0.1, 0.1),
        attacks=("none", "a"),
        counted=2,
    )
    assert envelope_chart([(mark_of(family_row("Shallow")), short)], "k", "metric") == ""
    assert envelope_chart([], "k", "metric") == ""
