from __future__ import annotations

import random

import pytest

from robust_unlearn_bench.world.names import KINDS, Namer


@pytest.mark.parametrize("kind", KINDS)
def test_no_value_comes_twice_and_the_seed_decides(kind: str) -> None:
    values = Namer(random.Random(1)).many(kind, 30)
    assert len(set(values)) == 30
    assert values == Namer(random.Random(1)).many(kind, 30) != Namer(random.Random(2)).many(kind, 30)


def test_people_share_neither_first_nor_last_name() -> None:
    words = " ".join(Namer(random.Random(0)).many("person", 400)).split()
    assert len(words) == len(set(words)) == 800


def test_a_dry_kind_gets_a_place_behind_its_names() -> None:
    houses = Namer(random.Random(0)).many("press", 150)
    assert len(set(houses)) == 150
    assert not any(" of " in house for house in houses[:80])
    assert " of " in houses[-1]


def test_a_kind_that_runs_out_says_so() -> None:
    with pytest.raises(RuntimeError, match="run out of names of kind 'person'"):
        Namer(random.Random(0)).many("person", 10_000)
