"""Sentences from templates, in which `{slot}` is a bound value or a rule to be expanded in turn."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence

__all__ = ["Rules", "expand", "polish"]

Rules = Mapping[str, Sequence[str]]

_SLOT = re.compile(r"\{(\w+)\}")
_ARTICLE = re.compile(r"\b([Aa]) (?=[aeiouAEIOU])")


def expand(template: str, rules: Rules, rng: random.Random, bound: Mapping[str, str] | None = None) -> str:
    """Fill every slot of a template.

    Args:
        template: text with `{slot}` marks.
        rules: slot → alternatives, which may contain slots themselves.
        rng: generator that draws the alternatives.
        bound: slot → value; takes precedence over the rules.

    Raises:
        KeyError: a slot is neither bound nor a rule.
    """
    given = bound or {}

    def fill(match: re.Match[str]) -> str:
        slot = match[1]
        return given[slot] if slot in given else expand(rng.choice(rules[slot]), rules, rng, given)

    return _SLOT.sub(fill, template)


def polish(sentence: str) -> str:
    """Capitalise the first letter and turn "a" before a vowel into "an"."""
    text = _ARTICLE.sub(r"\1n ", sentence)
    return text[:1].upper() + text[1:]
