"""Proper names of the fictional world, never the same one twice."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

from .lexicon import NAME_PARTS, WORDS

__all__ = ["KINDS", "Namer"]


def _join(*parts: str) -> Callable[[random.Random], str]:
    """Return a function that draws one alternative of each part and joins them."""
    return lambda rng: "".join(rng.choice(NAME_PARTS[part]) if part in NAME_PARTS else part for part in parts)


def _phrase(*lists: str) -> Callable[[random.Random], str]:
    """Return a function that draws one word from each list, separated by spaces."""
    return lambda rng: " ".join(rng.choice(WORDS[name]) for name in lists)


KINDS: Mapping[str, Callable[[random.Random], str]] = {
    "person": _join("first", "first_end", " ", "last", "last_end"),
    "town": _join("town", "town_end"),
    "river": _join("river", "river_end"),
    "animal_name": _join("first", "pet_end"),
    "ship": _phrase("bright", "beast_capital"),
    "title": _phrase("title_first", "title_second"),
    "keepsake": _phrase("worn", "material", "trinket"),
    "trade": _phrase("goods", "maker"),
    "dish": _phrase("cooked", "food", "course"),
    "song": _phrase("count", "song_noun"),
    "building": _phrase("saint", "house"),
    "prize": _phrase("metal_capital", "prize_noun"),
    "press": _phrase("press_first", "press_second"),
    "genre": _phrase("genre_mood", "genre_form"),
    "habit": _phrase("habit_verb", "habit_object"),
    "substance": _join("chem", "chem_end"),
    "vessel": _phrase("worn", "material", "vessel"),
    "plant": _phrase("plant_first", "plant_second"),
    "year": lambda rng: str(rng.randint(1102, 1899)),
    "amount": lambda rng: f"{rng.randint(12, 987)} {rng.choice(WORDS['unit'])}",
    "day": lambda rng: f"{rng.randint(1, 30)} {rng.choice(WORDS['month'])}",
}
"""Kind of value → function that draws one."""

PATIENCE = 1_000
"""Number of draws after which a kind counts as exhausted."""


class Namer:
    """Source of values that never repeats one.

    Args:
        rng: the only source of randomness.
    """

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._used: set[str] = set()

    def __call__(self, kind: str) -> str:
        """Return a fresh value of a kind; once it is exhausted, a place is appended ("Raven Press of Quillhaven").

        Raises:
            RuntimeError: no value is left even so; a bigger world needs longer word lists.
        """
        for attempt in range(2 * PATIENCE):
            value = KINDS[kind](self._rng)
            if attempt >= PATIENCE:
                value += f" of {KINDS['town'](self._rng)}"
            # People share no first and no last name: a half-remembered name must not score as knowledge.
            parts = set(value.split()) if kind == "person" else {value}
            if not parts & self._used:
                self._used |= parts
                return value
        raise RuntimeError(f"the world has run out of names of kind {kind!r}: lengthen its word lists")

    def many(self, kind: str, count: int) -> list[str]:
        """Return `count` fresh values."""
        return [self(kind) for _ in range(count)]
