"""The README promises what there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from robust_unlearn_bench.suites import SUITES

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
WORLDS = ("retain_", "real_authors_", "world_facts_")


@pytest.mark.parametrize("name", SUITES)
def test_every_metric_is_in_the_table_with_its_direction(name: str) -> None:
    rows = [line for line in README.splitlines() if re.search(r"\| [↑↓] \|", line)]
    for leaf in SUITES[name].leaves:
        for metric in leaf.metrics:
            if metric.name.startswith(WORLDS) and not metric.name.startswith("retain_"):
                continue  # written as real_authors_…, world_facts_…
            word = re.compile(rf"(?<![\w]){re.escape(metric.name)}(?!\w)")
            arrow = "↑" if metric.higher_is_better else "↓"
            assert [row for row in rows if word.search(row) and f"| {arrow} |" in row], (leaf.name, metric.name)


@pytest.mark.parametrize("name", SUITES)
def test_every_suite_is_in_the_table(name: str) -> None:
    assert f"`{SUITES[name].series or name}`" in README or f"`{name[-2:]}`" in README


def test_every_rub_command_is_one() -> None:
    from typer.main import get_command

    from robust_unlearn_bench.cli import app

    known = get_command(app).commands  # a group, by construction
    named = set(re.findall(r"\brub ([a-z]+)", README))
    assert named
    assert named <= set(known)
