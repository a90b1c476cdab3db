"""The frozen world in the schemas of MUSE, TOFU and WMDP: a `Source` for the suites."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from ..errors import DataError
from .generate import DATA, Tables, generate
from .paraphrases import paraphrased
from .questions import ask, companion

__all__ = ["NanoSource", "everything", "general"]

Row = dict[str, Any]

PARAPHRASED = "_paraphrased"
"""Suffix of the splits whose questions are asked in other words."""

PROMPT_WORDS = 20
"""Number of words of a passage that verbmem shows as prompt; the rest is the reference."""


@cache
def _frozen() -> Tables:
    """Load the tables in the package."""
    paths = sorted(DATA.rglob("*.jsonl"))
    if not paths:
        raise DataError(f"the nano data are missing from {DATA}: reinstall the package")
    return {
        path.relative_to(DATA).with_suffix("").as_posix(): [
            json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()
        ]
        for path in paths
    }


@cache
def _tables(size: str) -> Tables:
    """Return the frozen tables, or generate a world of another size."""
    return _frozen() if size == "nano" else generate(size)


class NanoSource:
    """Rows of one part of the world.

    Args:
        part: "books" or "news" (with MUSE's configs and splits), "tofu" or "wmdp".
        size: size of the world, a key of `generate.SIZES`.
    """

    def __init__(self, part: str, size: str = "nano") -> None:
        self.part = part
        self.size = size

    def __str__(self) -> str:
        return f"{self.size}_{self.part}"

    def rows(self, config: str, split: str) -> list[Row]:
        """Return the rows of one split, in dataset order; every row has a "cluster".

        MUSE's `raw` rows are the passages, then the question-answer pairs in blocks of ten, as running text: all that a
        model of the suite has learnt. TOFU's and WMDP's configs have one split each, so its name is ignored.

        Raises:
            DataError: there is no such config or split.
        """
        if self.part not in ("books", "news"):
            return self.table(config)
        if config not in _VIEWS:
            raise DataError(f"{self} has no config {config!r}: it has {', '.join(_VIEWS)}")
        return _VIEWS[config](self.table, split)

    def table(self, name: str) -> list[Row]:
        """Return the rows of one table.

        Raises:
            DataError: there is no such table.
        """
        tables = _tables(self.size)
        if f"{self.part}/{name}" not in tables:
            own = [known.partition("/")[2] for known in tables if known.startswith(f"{self.part}/")]
            raise DataError(f"{self} has no table {name!r}: it has {', '.join(own)}")
        return [dict(row) for row in tables[f"{self.part}/{name}"]]


Table = Callable[[str], list[Row]]
View = Callable[[Table, str], list[Row]]
"""Function that makes a split of one of MUSE's configs from the tables."""


def _verbmem(table: Table, split: str) -> list[Row]:
    return [_cut(row) for row in table(split)]


def _cut(row: Row) -> Row:
    """Split a passage into verbmem's prompt and continuation."""
    words = row["text"].split(" ")
    shown, rest = " ".join(words[:PROMPT_WORDS]), " ".join(words[PROMPT_WORDS:])
    return {"cluster": row["cluster"], "prompt": shown, "gt": rest}


def _knowmem(table: Table, split: str) -> list[Row]:
    plain = split.removesuffix(PARAPHRASED)
    return table(split) if plain == split else [paraphrased(row) for row in table(plain)]


def _raw_muse(table: Table, split: str) -> list[Row]:
    side = {"forget": "forget", "retain1": "retain"}.get(split)
    pairs = [*table(f"{side}_qa"), *table(f"{side}_qa_icl")] if side else []
    return [*table(split), *companion(pairs, 10, split)]


_VIEWS: dict[str, View] = {
    "verbmem": _verbmem,
    "knowmem": _knowmem,
    "privleak": lambda table, split: table("retain2" if split == "retain" else split),
    "raw": _raw_muse,
}


def everything(tables: Tables) -> Iterator[str]:
    """Yield every text of a world, as training text for its tokenizer."""
    for _, rows in sorted(tables.items()):
        if "text" in rows[0]:
            yield from (row["text"] for row in rows)
        else:
            yield "".join(ask(row) for row in rows)
            yield from (text for row in rows for text in row.get("perturbed_answer") or row.get("choices") or ())


def general(size: str = "nano") -> list[Row]:
    """Return rows of benign text that mentions no names and belongs to no suite."""
    return [dict(row) for row in _tables(size)["general"]]
