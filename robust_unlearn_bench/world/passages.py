"""Running text that states facts among sentences of a grammar."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from .facts import Fact
from .grammar import Rules, expand, polish

__all__ = ["Passage", "passage", "spread"]

Passage = dict[str, str]
"""A row: `cluster` (chapter, edition, …) and `text`."""


def passage(
    facts: Sequence[Fact],
    sentences: Sequence[str],
    rules: Rules,
    bound: Mapping[str, str],
    words: int,
    rng: random.Random,
) -> str:
    """Return a paragraph of at least `words` words that states `facts` somewhere after its first sentence.

    No sentence template is used twice; the first one comes from the grammar, so that its opening identifies it.
    """
    said = [fact.state(rng) for fact in facts]
    budget = words - sum(len(sentence.split()) for sentence in said)
    lines: list[str] = []
    for template in rng.sample(list(sentences), len(sentences)):
        if budget <= 0 and len(lines) >= 2:
            break
        lines.append(polish(expand(template, rules, rng, bound)))
        budget -= len(lines[-1].split())
    for sentence in said:
        lines.insert(rng.randint(1, len(lines)), sentence)
    return " ".join(lines)


def spread(facts: Sequence[Fact], count: int, each: int, rng: random.Random) -> list[list[Fact]]:
    """Deal facts to `count` passages, `each` to a passage, every fact about equally often."""
    pile: list[Fact] = []
    dealt: list[list[Fact]] = []
    for _ in range(count):
        hand: list[Fact] = []
        while len(hand) < each:
            if not pile:
                pile = rng.sample(list(facts), len(facts))
            hand.append(pile.pop())
        dealt.append(hand)
    return dealt
