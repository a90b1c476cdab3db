"""Halves of the forget text, and on which side a document lies."""

from __future__ import annotations

import pytest

from robust_unlearn_bench.attacks.relearn.forget_text import RelearnSplit
from robust_unlearn_bench.attacks.relearn.split import Halves, halves
from robust_unlearn_bench.errors import DataError
from robust_unlearn_bench.suites.corpus import Corpus, Example

WORDS = ("old", "new", "blue", "iron", "found", "wrote")
FORGET = Corpus("test/forget", tuple(Example(f"the {w} baker sang", cluster=w) for w in WORDS))


def test_halves_are_whole_clusters() -> None:
    twice = Corpus("c", FORGET.examples + FORGET.examples)
    parts = halves(twice, seed=0)
    clusters = [{e.cluster for e in half.examples} for half in (parts.shown, parts.held_out)]
    assert clusters[0].isdisjoint(clusters[1])
    assert len(parts.shown) == len(parts.held_out) == 6
    assert halves(twice, seed=1).shown != parts.shown
    assert halves(twice, seed=0).shown == parts.shown
    anonymous = halves(Corpus("c", tuple(Example(str(i)) for i in range(5))), 0)
    assert (len(anonymous.shown), len(anonymous.held_out)) == (3, 2)


def test_rows_of_one_cluster_are_halved_one_by_one() -> None:
    rows = tuple(Example(f"the {w} baker sang", cluster="x") for w in WORDS)
    parts = halves(Corpus("c", rows), 0)
    assert sorted([*parts.shown.texts, *parts.held_out.texts]) == sorted(row.completion for row in rows)
    assert {parts.side({"cluster": "x", "gt": text}) for text in parts.held_out.texts} == {"held_out"}


def test_a_single_text_is_cut_into_pieces_and_halved() -> None:
    words = [f"word{i}" for i in range(100)]
    parts = halves(Corpus("c", (Example(" ".join(words)),)), 0)
    pieces = [text.split(" ") for text in (*parts.shown.texts, *parts.held_out.texts)]
    assert sorted(word for piece in pieces for word in piece) == sorted(words)
    assert all(piece == words[words.index(piece[0]) :][: len(piece)] for piece in pieces)
    assert abs(len(parts.shown) - len(parts.held_out)) <= 1
    assert len(pieces) > 10


def test_a_single_word_has_no_halves() -> None:
    with pytest.raises(DataError, match=r"test/forget is a single text of 1 words.*'cluster' column"):
        halves(Corpus("test/forget", (Example("all"),)), 0)


@pytest.fixture
def parts() -> Halves:
    shown = (
        Example("Ann was\na baker in Rome.", "Who?", "ann"),
        Example("The mayor of Rome kept bees.", cluster="mayor"),
    )
    return Halves(Corpus("s", shown), Corpus("h", (Example("Bob kept bees in Paris.", cluster="bob"),)))


@pytest.mark.parametrize(
    ("doc", "side"),
    [
        ({"cluster": "ann", "gt": "Bob kept bees in Paris."}, "shown"),  # a cluster of the text decides
        ({"cluster": "bob", "answer": "baker"}, "held_out"),
        ({"cluster": "row-1", "gt": "a  baker in"}, "shown"),  # by the true text, however it is wrapped
        ({"cluster": "row-1", "answer": "Paris"}, "held_out"),
        ({"cluster": "row-1", "answer": "kept bees"}, "shown"),  # in both halves: relearned
        (
            {"cluster": "row-1", "text": "Bob kept bees in Paris.", "answer": "Rome"},
            "held_out",
        ),  # a passage, not a word
        ({"cluster": "row-1", "answer": "Carol"}, "untraced"),
        ({"cluster": "row-1", "answer": " "}, "untraced"),  # white space is everywhere
        ({"cluster": "row-1", "answer": 2}, "untraced"),  # a letter among choices is no text
        ({"answer": "bees. Bob"}, "untraced"),  # not across two examples
    ],
)
def test_side_of_a_document(parts: Halves, doc: dict[str, object], side: str) -> None:
    assert parts.side(doc) == side


def test_report_counts_examples_and_names_clusters(parts: Halves) -> None:
    assert parts.report == {
        "shown_clusters": ["ann", "mayor"],
        "shown_examples": 2,
        "held_out_clusters": ["bob"],
        "held_out_examples": 1,
    }


def test_the_attack_splits_by_its_seed() -> None:
    attack = RelearnSplit(seed=3)
    assert attack.splits
    assert attack.halves(FORGET).shown == halves(FORGET, 3).shown
