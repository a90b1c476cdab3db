from __future__ import annotations

import random

from robust_unlearn_bench.world.facts import Relation, invent
from robust_unlearn_bench.world.names import Namer

PET = Relation("pet", "animal_name", ("{s} keeps {v}.",), ("Who is the pet of {s}?",), ("It is a {v}.", "{v} it is."))
TOWN = Relation("town", "town", ("{s} is from {v}.",), ("Where is {s} from?", "What is the home of {s}?"))


def test_a_fact_is_stated_asked_told_and_perturbed() -> None:
    rng = random.Random(3)
    (fact,) = invent(["Ada"], [PET], 1, Namer(rng), rng, wrong=3)
    assert fact.state(rng) == f"Ada keeps {fact.value}."
    assert fact.question == "Who is the pet of Ada?"
    assert fact.tell(1) == f"{fact.value} it is."
    assert fact.tell(1, fact.wrong[0]) == f"{fact.wrong[0]} it is."
    assert len({fact.value, *fact.wrong}) == 4


def test_wrong_values_are_true_of_others_where_there_are_enough() -> None:
    rng = random.Random(0)
    facts = invent([f"S{i}" for i in range(8)], [PET, TOWN], 2, Namer(rng), rng)
    assert [f.subject for f in facts] == [f"S{i}" for i in range(8) for _ in range(2)]
    for fact in facts:
        others = {f.value for f in facts if f.relation is fact.relation and f is not fact}
        assert fact.value not in fact.wrong
        assert len(set(fact.wrong) & others) == 5


def test_every_subject_has_different_relations() -> None:
    rng = random.Random(0)
    facts = invent(["A", "B", "C"], [PET, TOWN], 2, Namer(rng), rng)
    assert all({f.relation.name for f in facts if f.subject == s} == {"pet", "town"} for s in "ABC")
