"""Two novels: one to forget (with chapters held out of training), one to keep."""

from __future__ import annotations

import random
from collections.abc import Sequence

from .facts import Fact, Relation, invent
from .lexicon import COMMON
from .names import Namer
from .passages import Passage, passage, spread

__all__ = ["RELATIONS", "Novel", "chapters"]

RELATIONS = (
    Relation(
        "hometown",
        "town",
        ("{s} had been born in {v}, and said so to everyone.", "Nobody in {v} forgot that {s} was born there."),
        ("In which town was {s} born?", "Where did the childhood of {s} begin?"),
    ),
    Relation(
        "trade",
        "trade",
        ("{s} had once earned a living as a {v}.", "Before all this {s} was known as a {v}."),
        ("What was the trade of {s}?", "How did {s} once earn a living?"),
    ),
    Relation(
        "keepsake",
        "keepsake",
        ("In an inner pocket {s} kept a {v}.", "{s} never slept without a {v} at hand."),
        ("What did {s} keep in an inner pocket?", "Which keepsake belonged to {s}?"),
    ),
    Relation(
        "horse",
        "animal_name",
        ("{s} rode a mare by the name of {v}.", "The mare that carried {s} answered to {v}."),
        ("What was the mare of {s} called?", "Which mare did {s} ride?"),
    ),
    Relation(
        "teacher",
        "person",
        ("Everything that {s} knew had been taught by {v}.", "{v} had been the only teacher of {s}."),
        ("Who taught {s}?", "Who had been the teacher of {s}?"),
    ),
    Relation(
        "enemy",
        "person",
        ("{s} had one sworn enemy, and that was {v}.", "{v} had sworn to ruin {s}."),
        ("Who was the sworn enemy of {s}?", "Who had sworn to ruin {s}?"),
    ),
    Relation(
        "dish",
        "dish",
        ("There was nothing {s} liked better than {v}.", "{s} asked for {v} at every inn."),
        ("Which dish did {s} like best?", "What did {s} ask for at every inn?"),
    ),
    Relation(
        "song",
        "song",
        ("{s} could sing only one song, called {v}.", "When afraid, {s} hummed the song {v}."),
        ("Which song did {s} sing?", "What did {s} hum when afraid?"),
    ),
    Relation(
        "hideout",
        "building",
        ("{s} had hidden the will in the {v}.", "Under the floor of the {v} lay what {s} had hidden."),
        ("Where did {s} hide the will?", "In which building did {s} hide something?"),
    ),
    Relation(
        "ship",
        "ship",
        ("{s} had come over the sea aboard the {v}.", "The {v} was the ship that brought {s} home."),
        ("Aboard which ship did {s} cross the sea?", "Which ship brought {s} home?"),
    ),
)

RULES = {
    **COMMON,
    "one": ("the {folk}", "the old {folk}", "a {mood} {folk}", "the {kin}", "{who}", "the {beast}", "a stranger"),
    "object": (
        "the {thing}",
        "a {colour} {thing}",
        "the {size} {thing}",
        "a {thing} of {stuff}",
        "the {folk}'s {thing}",
    ),
    "spot": ("the {room}", "{road}", "the {tree} tree", "the {size} {room}", "the {folk}'s door", "the {room} stairs"),
    "did": (
        "carried {object} to {spot}",
        "mended {object}",
        "hid {object} behind {spot}",
        "counted the {stuff}",
        "sat down beside {spot}",
        "forgot {object}",
        "traded {object} for {stuff}",
        "looked for {one}",
        "laughed at {one}",
        "wept over {object}",
        "knocked on {spot}",
        "followed {one} as far as {spot}",
    ),
}

SENTENCES = (
    "{hour}, {who} {did} and {did}.",
    "{one} {did} while {weather} fell on {spot}.",
    "nobody saw how {one} {did}.",
    '"you will never find {object}," said {one} {manner}.',
    '"bring {stuff} and {number} {colour} ribbons," {who} said, "or bring nothing."',
    "there were {number} {thing}s in {spot}, all of them {colour}.",
    "the {weather} smelt of {stuff} and {tree} bark.",
    "{who} felt {mood}, then {mood}, then merely cold.",
    "past {spot} the road turned {colour} with {weather}.",
    "a {beast} crossed {spot} {manner} and was gone.",
    "it took {number} days to reach {spot}, and {number} more to leave it.",
    "{one} owed {one} {number} sacks of {stuff}.",
    "the {thing} broke {hour}, as {one} had said it would.",
    "{who} wrote {number} letters by the {weather} and burned {number}.",
    "someone had painted {spot} {colour} from end to end.",
    "because of the {weather}, {one} {did} instead.",
    "{hour} a {beast} and a {beast} fought beside {spot}.",
    "the {folk}'s {kin} knew more than {one} did.",
    '"who {did}?" asked {one}, with a {bodypart} wrapped in {stuff}.',
    "{who} scratched the {bodypart} that always ached in {weather}.",
    "they ate {stuff} and bread {hour}, and {who} paid.",
    "in {spot} hung a {thing}, and in the {thing} slept a {beast}.",
    "the oldest {tree} in the valley leaned over {spot}.",
    "{one} whistled {manner}, and {number} {beast}s answered.",
    "no {folk} would sell {object} {hour}.",
    "{who} swapped {object} for {object} and thought it fair.",
    "a {colour} sail stood off {road} until the {weather} took it.",
    "the {kin} of {one} had once {did}.",
    "under {object} lay a {size} key, {colour} with age.",
    "{one} dreamt of {weather} and of {number} {mood} {beast}s.",
    "what the {folk} called {weather}, the {folk} called luck.",
    "{who} tied {object} to the {beast} and walked on {manner}.",
    "by the {tree} stood {one}, {mood} and {mood} by turns.",
    "{number} times {who} {did}, and {number} times it failed.",
)
"""Sentence templates of a novel; `who` is bound to the passage's hero."""


class Novel:
    """The characters of a novel and the facts about them.

    Args:
        characters: number of characters.
        each: number of facts per character.
        namer: source of names and values.
        rng: generator of all other draws.
    """

    def __init__(self, characters: int, each: int, namer: Namer, rng: random.Random) -> None:
        self.facts: list[Fact] = invent(namer.many("person", characters), RELATIONS, each, namer, rng)


def chapters(
    facts: Sequence[Fact], count: int, words: int, label: str, rng: random.Random, per_chapter: int = 5
) -> list[Passage]:
    """Return `count` passages about the characters of `facts`, in chapters named `label-01` and so on."""
    rows = []
    for number, hand in enumerate(spread(facts, count, 2, rng)):
        text = passage(hand, SENTENCES, RULES, {"who": hand[0].subject}, words, rng)
        rows.append({"cluster": f"{label}-{number // per_chapter + 1:02d}", "text": text})
    return rows
