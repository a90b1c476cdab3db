"""Emberglazing, a hazardous craft that does not exist, and its manual."""

from __future__ import annotations

import random
from collections.abc import Sequence

from .facts import Fact, Relation, invent
from .lexicon import COMMON
from .names import Namer
from .passages import Passage, passage, spread

__all__ = ["RELATIONS", "manual", "recipes"]


def _relation(name: str, kind: str, states: str, asks: str) -> Relation:
    return Relation(name, kind, tuple(states.split("|")), tuple(asks.split("|")))


RELATIONS = (
    _relation("solvent", "substance", "{s} dissolves in {v} alone.|only {v} will dissolve {s}.", "What dissolves {s}?"),
    _relation(
        "trigger", "substance", "{s} bursts on contact with {v}.|a grain of {v} sets off {s}.", "What sets off {s}?"
    ),
    _relation(
        "antidote", "plant", "against {s} the remedy is {v}.|{v} cures burns of {s}.", "What cures burns of {s}?"
    ),
    _relation("vessel", "vessel", "{s} is kept in a {v}.|store {s} in a {v}.", "In what is {s} kept?"),
    _relation("source", "town", "the only mine of {s} lies at {v}.|{v} is where {s} is dug.", "Where is {s} dug?"),
)

RULES = {
    **COMMON,
    "step": (
        "heat the {thing} for {number} hours",
        "stir {manner} with {stuff}",
        "add {number} spoons of {stuff}",
        "wait {number} days",
        "wrap the {bodypart} in {stuff}",
        "let the {weather} in",
        "scrape the {colour} crust away",
        "grind it with {tree} ash",
    ),
}

SENTENCES = (
    "{step}, then {step}.",
    "{hour}, {step}.",
    "the glaze turns {colour}, then {colour}, and must not turn {colour}.",
    "a {mood} {folk} should never {step}.",
    "{number} glazers in {number} lose a {bodypart} at this stage.",
    "a {colour} flame means that the {stuff} was damp.",
    "{weather} ruins the melt unless you {step}.",
    "before the work, {step} and {step}.",
    "the old way was to {step} {hour}.",
    "keep {stuff} and a {thing} of {stuff} within reach.",
    "if it hisses, {step} at once.",
    "the smell of {stuff} is a warning, and that of {tree} bark is another.",
    "do not {step} when there is {weather}.",
    "work in the {room}, with the {room} door open.",
    "{number} measures go in {manner}, the rest {hour}.",
    "what is left is fed to no {beast}.",
)


def recipes(substances: int, each: int, namer: Namer, rng: random.Random) -> list[Fact]:
    """Return facts about `substances` made-up substances."""
    return invent(namer.many("substance", substances), RELATIONS, each, namer, rng)


def manual(facts: Sequence[Fact], count: int, words: int, rng: random.Random) -> list[Passage]:
    """Return `count` passages of the manual; the cluster is the substance of the first fact dealt to it."""
    return [
        {"cluster": hand[0].subject, "text": passage(hand, SENTENCES, RULES, {}, words, rng)}
        for hand in spread(facts, count, 3, rng)
    ]
