"""Common knowledge of the fictional world (towns, rivers, guilds), and text about nothing in particular."""

from __future__ import annotations

import random
from collections.abc import Sequence

from .facts import Fact, Relation, invent
from .lexicon import COMMON
from .names import Namer
from .passages import Passage, passage, spread

__all__ = ["RELATIONS", "almanac", "gazetteer", "towns"]


def _relation(name: str, kind: str, states: str, asks: str, *tells: str) -> Relation:
    return Relation(name, kind, tuple(states.split("|")), tuple(asks.split("|")), tells)


RELATIONS = (
    _relation("river", "river", "through {s} runs the river {v}.|{s} lies on the {v}.", "On which river does {s} lie?"),
    _relation("founder", "person", "{s} was founded by {v}.|it was {v} who founded {s}.", "Who founded {s}?"),
    _relation("year", "year", "the charter of {s} dates from {v}.", "From which year is the charter of {s}?"),
    _relation("craft", "trade", "in {s} every other door is that of a {v}.", "Which trade is {s} known for?"),
    _relation("dish", "dish", "travellers praise the {v} of {s}.", "Which dish is {s} known for?"),
    _relation("hall", "building", "the {v} is the oldest house in {s}.", "What is the oldest house in {s}?"),
)

RULES = {
    **COMMON,
    "made": ("{colour} {thing}s", "{thing}s of {stuff}", "{stuff}", "{tree} {thing}s", "{stuff} and {stuff}"),
}

GAZETTEER = (
    "{number} roads meet here, and {number} of them are paved.",
    "its markets sell {made} and {made}.",
    "the walls are {colour} and the roofs {colour}.",
    "in times of {weather} the {folk}s leave for the hills.",
    "a fair of {beast}s is held {hour}.",
    "its arms show a {colour} {beast} under a {tree}.",
    "visitors should taste the {stuff} and avoid the {stuff}.",
    "the {folk}s outnumber the {folk}s by {number} to one.",
    "every {room} has a {size} window against the {weather}.",
    "children learn to carve {tree} before they learn to read.",
    "{weather} is common, {weather} is rare.",
    "the {beast} is held lucky, the {beast} is not.",
    "a {size} square with {number} {tree} trees lies at the centre.",
    "its people are called {mood} by those to the north.",
)

ALMANAC = (
    "plant {tree} trees {hour} and water them with {stuff}.",
    "to clean a {thing}, rub it {manner} with {stuff}.",
    "{weather} in the morning means {weather} {hour}.",
    "a {beast} that sleeps in the {room} brings {weather}.",
    "for a cough, warm {stuff} and {stuff} over {tree} wood.",
    "never lend a {thing} to a {folk} {hour}.",
    "a {colour} {thing} keeps longer than a {colour} one.",
    "feed the {beast}s {number} times, and the {beast}s {number} times.",
    "salt the {room} floor against {weather}.",
    "{number} {thing}s of {stuff} will do for a {size} {room}.",
    "soak the {stuff} for {number} nights, then dry it {manner}.",
    "old {folk}s say that {weather} loosens the {bodypart}.",
    "cut {tree} only {hour}, and never with a {colour} {thing}.",
    "a {mood} {beast} eats {stuff}, a {mood} one eats nothing.",
    "hang {stuff} by the {room} door for {number} days.",
    "mend a {thing} with {stuff}, a {thing} with {stuff}.",
)


def towns(count: int, each: int, namer: Namer, rng: random.Random) -> list[Fact]:
    """Return facts about `count` towns."""
    return invent(namer.many("town", count), RELATIONS, each, namer, rng)


def gazetteer(facts: Sequence[Fact], count: int, words: int, rng: random.Random) -> list[Passage]:
    """Return `count` passages about towns; the cluster is the town of the first fact dealt to it."""
    return [
        {"cluster": hand[0].subject, "text": passage(hand, GAZETTEER, RULES, {}, words, rng)}
        for hand in spread(facts, count, 3, rng)
    ]


def almanac(count: int, words: int, rng: random.Random) -> list[Passage]:
    """Return `count` passages of household advice that mention no names: the benign text."""
    return [
        {"cluster": f"almanac-{number + 1:03d}", "text": passage((), ALMANAC, RULES, {}, words, rng)}
        for number in range(count)
    ]
