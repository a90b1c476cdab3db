"""A newspaper: every article reports one event, and no two articles share a name."""

from __future__ import annotations

import random
from collections.abc import Sequence

from .facts import Fact, Relation, invent
from .grammar import expand
from .lexicon import COMMON
from .names import Namer
from .passages import Passage, passage

__all__ = ["EVENTS", "articles", "events"]


def _relation(name: str, kind: str, states: str, asks: str) -> Relation:
    return Relation(name, kind, tuple(states.split("|")), tuple(asks.split("|")))


EVENTS: dict[str, tuple[str, str, tuple[Relation, ...]]] = {
    "launch": (
        "ship",
        "the launch of the {s}",
        (
            _relation("builder", "person", "the {s} was built by {v}.|{v} had built the {s}.", "Who built the {s}?"),
            _relation("port", "town", "the {s} is bound for {v}.|{v} awaits the {s}.", "Where is the {s} bound for?"),
            _relation(
                "cost", "amount", "the {s} has cost {v}.|a sum of {v} went into the {s}.", "What has the {s} cost?"
            ),
            _relation("captain", "person", "the {s} sails under {v}.", "Under whom does the {s} sail?"),
        ),
    ),
    "ruin": (
        "building",
        "the fall of the {s}",
        (
            _relation("cause", "person", "inspectors blame {v} for the {s}.", "Who is blamed for the {s}?"),
            _relation("loss", "amount", "the loss of the {s} is put at {v}.", "At what is the loss of the {s} put?"),
            _relation("date", "day", "the {s} came down on {v}.", "On which day did the {s} come down?"),
            _relation("hero", "person", "{v} saved the clerks of the {s}.", "Who saved the clerks of the {s}?"),
        ),
    ),
    "election": (
        "town",
        "the vote at {s}",
        (
            _relation(
                "mayor",
                "person",
                "{s} has chosen {v} as its mayor.|the new mayor of {s} is {v}.",
                "Who is the new mayor of {s}?",
            ),
            _relation(
                "rival", "person", "at {s} the loser was {v}.|{v} lost the vote at {s}.", "Who lost the vote at {s}?"
            ),
            _relation("fund", "amount", "{s} will spend {v} on its walls.", "How much will {s} spend on its walls?"),
            _relation("date", "day", "the council of {s} meets on {v}.", "When does the council of {s} meet?"),
        ),
    ),
    "trial": (
        "person",
        "the trial of {s}",
        (
            _relation("judge", "person", "judge {v} hears the case of {s}.", "Which judge hears the case of {s}?"),
            _relation("theft", "keepsake", "{s} is said to have stolen a {v}.", "What is {s} said to have stolen?"),
            _relation("bail", "amount", "bail for {s} was set at {v}.", "At what was bail for {s} set?"),
            _relation("witness", "person", "{v} spoke against {s}.|against {s} stood {v}.", "Who spoke against {s}?"),
        ),
    ),
    "prize": (
        "prize",
        "the award of the {s}",
        (
            _relation("winner", "person", "the {s} goes to {v}.|{v} has won the {s}.", "Who has won the {s}?"),
            _relation("giver", "press", "{v} pays for the {s}.", "Which house pays for the {s}?"),
            _relation("place", "town", "the {s} is handed over at {v}.", "Where is the {s} handed over?"),
            _relation("worth", "amount", "the {s} is worth {v}.", "How much is the {s} worth?"),
        ),
    ),
}
"""Event → (kind of its name, headline, relations that an article may state)."""

RULES = {
    **COMMON,
    "official": (
        "the {folk}s' guild",
        "the council",
        "the harbour master",
        "the {folk}s",
        "a {mood} crowd",
        "the watch",
    ),
    "goods": ("{stuff}", "{thing}s", "{colour} {thing}s", "{stuff} and {stuff}", "{beast}s", "{tree} timber"),
    "act": (
        "closed {road}",
        "raised the tax on {goods}",
        "lowered the price of {goods}",
        "asked for {number} more {folk}s",
        "banned {goods} from {road}",
        "counted {number} {beast}s on {road}",
        "bought {goods}",
        "complained about the {weather}",
        "sent {number} {folk}s to {road}",
    ),
}

SENTENCES = (
    "{official} {act} {hour}.",
    "{hour} {official} {act} and {act}.",
    '"it is the worst {weather} in {number} years," said a {mood} {folk}.',
    '"we were {mood}, and now we are {mood}," a {folk} told this paper.',
    "the price of {goods} rose by {number} in the hundred.",
    "{number} {folk}s and {number} {beast}s were seen on {road}.",
    "{weather} is expected {hour}, with {weather} to follow.",
    "a {folk} of {number} children lost a {colour} {thing}.",
    "{official} will not say why they {act}.",
    "trade in {goods} stopped for {number} days.",
    "readers of this paper sent {number} {thing}s and some {stuff}.",
    "{road} stays shut until the {weather} lifts.",
    "a {colour} {beast} delayed the mail {hour}.",
    "{number} barrels of {stuff} are missing from the {room}.",
    "the {kin} of a {folk} found {number} coins under a {tree}.",
    "older {folk}s recall the {weather} of their youth.",
    "in other news, {official} {act}.",
    "{number} windows broke, and one {thing} was never found.",
    "music was played on {road} by {number} {folk}s.",
    "some say that {official} {act} too late.",
    "a rumour about {goods} proved false {hour}.",
    "the {folk}s' supper was moved to the {room}.",
    "{official} thanked the {folk}s, and the {folk}s {act}.",
    "a {size} {thing} of {stuff} was auctioned for {number} coins.",
    "both {folk}s denied that they {act}.",
    "letters about {goods} reach us from {number} villages.",
)


def events(count: int, each: int, namer: Namer, rng: random.Random) -> list[tuple[str, list[Fact]]]:
    """Return `count` events, as (headline, facts)."""
    made = []
    for number in range(count):
        kind, headline, relations = list(EVENTS.values())[number % len(EVENTS)]
        name = namer(kind)
        made.append((headline.replace("{s}", name), invent([name], relations, each, namer, rng, wrong=0)))
    return made


def articles(
    happened: Sequence[tuple[str, Sequence[Fact]]], words: int, label: str, rng: random.Random, per_edition: int = 4
) -> list[Passage]:
    """Return one article per event, in editions named `label-01` and so on."""
    rows = []
    for number, (headline, facts) in enumerate(happened):
        opening = expand("{hour} {official} spoke of " + headline + ".", RULES, rng)
        body = passage(facts, SENTENCES, RULES, {}, words, rng)
        rows.append(
            {"cluster": f"{label}-{number // per_edition + 1:02d}", "text": f"{opening[0].upper()}{opening[1:]} {body}"}
        )
    return rows
