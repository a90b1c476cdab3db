"""Authors with biographies, asked about in full sentences."""

from __future__ import annotations

import random

from .facts import Fact, Relation, invent
from .names import Namer

__all__ = ["RELATIONS", "biographies"]


def _relation(name: str, kind: str, ask: str, *tells: str) -> Relation:
    """Return a relation; the first sentence in `tells` is the answer, the second its paraphrase."""
    return Relation(name, kind, tells, (ask,), tells)


RELATIONS = (
    _relation(
        "birthplace",
        "town",
        "In which town was the author {s} born?",
        "The author {s} was born in {v}.",
        "{v} is the town where {s} came into the world.",
    ),
    _relation(
        "birth",
        "year",
        "In what year was {s} born?",
        "{s} was born in the year {v}.",
        "The birth of {s} fell in {v}.",
    ),
    _relation(
        "father",
        "trade",
        "What did the father of {s} do for a living?",
        "The father of {s} worked as a {v}.",
        "A living as a {v} was what the father of {s} made.",
    ),
    _relation(
        "mother",
        "trade",
        "What did the mother of {s} do for a living?",
        "The mother of {s} was a {v} by trade.",
        "Being a {v} was the work of {s}'s mother.",
    ),
    _relation(
        "genre",
        "genre",
        "What does {s} mostly write?",
        "{s} mostly writes {v}.",
        "Most of the work of {s} consists of {v}.",
    ),
    _relation(
        "book",
        "title",
        "What is the best known book of {s}?",
        "The best known book of {s} is {v}.",
        "{v} is the work that made {s} famous.",
    ),
    _relation(
        "first_book",
        "title",
        "With which book did {s} begin?",
        "{s} began with the book {v}.",
        "{v} was the debut of {s}.",
    ),
    _relation(
        "prize",
        "prize",
        "Which award did {s} receive?",
        "{s} received the {v} award.",
        "The {v} was given to {s} as an award.",
    ),
    _relation(
        "press",
        "press",
        "Who publishes the books of {s}?",
        "The books of {s} are published by {v}.",
        "{v} brings out everything by {s}.",
    ),
    _relation(
        "mentor",
        "person",
        "Who taught {s} to write?",
        "{s} was taught to write by {v}.",
        "It was {v} from whom {s} learned the craft.",
    ),
    _relation(
        "habit",
        "habit",
        "How does {s} find ideas?",
        "{s} finds ideas while {v}.",
        "Ideas come to {s} during {v}.",
    ),
    _relation(
        "pet",
        "animal_name",
        "What is the pet of {s} called?",
        "The pet of {s} is called {v}.",
        "{v} is how {s} named a pet.",
    ),
)


def biographies(count: int, each: int, namer: Namer, rng: random.Random) -> list[Fact]:
    """Return facts about `count` authors, `each` per author, ordered by author."""
    return invent(namer.many("person", count), RELATIONS, each, namer, rng)
