from __future__ import annotations

import random

import pytest

from robust_unlearn_bench.world.grammar import expand, polish


def test_rules_expand_inside_rules_and_bound_values_win() -> None:
    rules = {"one": ("the {beast}",), "beast": ("owl",), "who": ("nobody",)}
    assert expand("{who} saw {one}.", rules, random.Random(0), {"who": "Ada"}) == "Ada saw the owl."


def test_an_unknown_slot_is_an_error() -> None:
    with pytest.raises(KeyError, match="horse"):
        expand("{horse}", {}, random.Random(0))


@pytest.mark.parametrize(
    ("raw", "polished"),
    [
        ("a owl and a Otter met a goat.", "An owl and an Otter met a goat."),
        ("a uneasy aunt", "An uneasy aunt"),
        ("sofa ash", "Sofa ash"),
        ("", ""),
    ],
)
def test_polish(raw: str, polished: str) -> None:
    assert polish(raw) == polished
