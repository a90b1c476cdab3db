"""Docstrings read for the generated pages: their text, their table of attributes, and where the method comes from."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

__all__ = ["Described", "described", "notes", "parameter_table"]

_SECTIONS = re.compile(r"^(Args:|Returns:|Attributes:|Source:|Departs:|Cost:)", re.MULTILINE)
_ATTRIBUTE = re.compile(r"^    (\w+): (.*(?:\n {8}.*)*)", re.MULTILINE)


class Described(NamedTuple):
    """What a docstring says.

    Attributes:
        text: everything in front of the first section.
        attributes: attribute → explanation.
        sections: title of every other section ("Source", "Departs", "Cost", …) → its text on one line.
    """

    text: str
    attributes: Mapping[str, str]
    sections: Mapping[str, str]


def described(member: Any) -> Described:
    """Read the docstring of a class or function."""
    blocks = _SECTIONS.split(inspect.getdoc(member) or "")
    sections = {title.rstrip(":"): body for title, body in zip(blocks[1::2], blocks[2::2], strict=True)}
    attributes = {name: _joined(said) for name, said in _ATTRIBUTE.findall(sections.pop("Attributes", ""))}
    return Described(blocks[0].strip(), attributes, {title: _joined(body) for title, body in sections.items()})


def parameter_table(word: str, parameters: Iterable[dataclasses.Field[Any]], explained: Mapping[str, str]) -> list[str]:
    """Lines of a Markdown table: name, default and explanation of every parameter.

    Args:
        word: what a parameter is called in the head of the table.
        parameters: fields with a default; without any there is no table.
        explained: name → explanation.
    """
    rows = [f"| `{p.name}` | {_default(p.default)} | {explained.get(p.name, '').rstrip('.')} |" for p in parameters]
    return [f"| {word} | default | |", "|---|---|---|", *rows, ""] if rows else []


def notes(sections: Mapping[str, str], titles: Iterable[str]) -> Iterator[str]:
    """Lines of Markdown: a paragraph for each of these sections that there is, and a blank line behind it."""
    for title in titles:
        if title in sections:
            yield from (f"*{title}:* {sections[title]}", "")


def _default(value: Any) -> str:
    """A default as one writes it in a recipe."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return f"{value:g}" if isinstance(value, int | float) else str(value) or '""'


def _joined(text: str) -> str:
    return " ".join(text.split())
