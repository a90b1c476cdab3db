from __future__ import annotations

import random
from collections import Counter

from robust_unlearn_bench.world.facts import Relation, invent
from robust_unlearn_bench.world.names import Namer
from robust_unlearn_bench.world.passages import passage, spread

RELATION = Relation("town", "town", ("{s} is from {v}.",), ("Where is {s} from?",))
SENTENCES = [f"number {i} is {{colour}}." for i in range(40)]


def test_a_passage_states_its_facts_and_repeats_no_template() -> None:
    rng = random.Random(0)
    facts = invent(["Ada", "Bob"], [RELATION], 1, Namer(rng), rng)
    text = passage(facts, SENTENCES, {"colour": ("grey", "blue")}, {}, 60, rng)
    lines = text.split(". ")
    assert len(text.split()) >= 60
    assert text.startswith("Number ")
    assert all(f"{f.subject} is from {f.value}" in text for f in facts)
    openings = [line.split()[1] for line in lines if line.startswith("Number")]
    assert len(openings) == len(set(openings))


def test_facts_are_dealt_evenly() -> None:
    rng = random.Random(0)
    facts = invent(list("ABCDE"), [RELATION], 1, Namer(rng), rng)
    dealt = spread(facts, 10, 2, rng)
    assert {len(hand) for hand in dealt} == {2}
    assert set(Counter(f.subject for hand in dealt for f in hand).values()) == {4}
