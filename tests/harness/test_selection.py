"""Names mean the same tasks and attacks as in the generated YAML."""

from __future__ import annotations

import pytest

from robust_unlearn_bench.errors import UnknownNameError
from robust_unlearn_bench.harness.selection import selected
from robust_unlearn_bench.suites import SUITES


@pytest.mark.parametrize("suite", ["nano_books", "muse_news", "wmdp_bio"])
def test_a_robust_group_is_the_suites_standard_attacks_with_their_leaves(suite: str) -> None:
    known = SUITES[suite]
    found = selected([f"{suite}_robust"])
    assert [entry.plan.name for entry in found] == list(known.attacks)
    for entry in found:
        assert [leaf.name for _, leaf in entry.leaves.values()] == [leaf.name for leaf in known.under(entry.plan.name)]
        assert not entry.others


def test_attacks_that_are_given_replace_those_of_the_groups() -> None:
    found = selected(["nano_books_robust"], ["gptq4", "none"])
    assert [entry.plan.name for entry in found] == ["none", "gptq4"]
    assert len(found[1].leaves) == len(SUITES["nano_books"].leaves), "each once, though seven groups have it"


def test_one_leaf_a_suite_and_lm_evals_own_tasks() -> None:
    (one,) = selected(["nano_books_verbmem"])
    assert [(name, leaf.name) for name, leaf in one.leaves.values()] == [("nano_books", "verbmem")]
    (suite,) = selected(["nano_books"])
    assert len(suite.leaves) == len(SUITES["nano_books"].leaves)
    clean, quantised = selected(["utility_robust"])
    assert [*clean.others] == [*quantised.others] == ["truthfulqa_mc2", "hellaswag", "arc_challenge"]
    assert quantised.plan.name == "gptq4"
    (own,) = selected(["piqa"], suite="nano_books")
    assert [*own.others] == ["piqa"]


def test_all_suites_of_a_group_have_their_own_attacks() -> None:
    found = selected(["nano_robust"])
    trained = [entry.plan.suite.name for entry in found if entry.plan.suite and entry.plan.name == "gptq4"]
    assert len(trained) == len(set(trained)) > 1


def test_an_unknown_attack_is_named() -> None:
    with pytest.raises(UnknownNameError, match="gqtq4"):
        selected(["nano_books"], ["gqtq4"])
