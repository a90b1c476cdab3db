"""Two halves of the forget text, and on which side a document of a leaf lies.

An attack that trains on one half says something only through documents about the other. A document is traced to the
forget text by its cluster, where that is a cluster of the text (a TOFU author, a chapter), else by its own true text (the
continuation, passage or answer), found word for word in the examples: in any that was shown, it counts as shown.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any, Literal

from ...errors import DataError
from ...suites.corpus import Corpus

__all__ = ["Halves", "Side", "halves"]

Side = Literal["shown", "held_out", "untraced"]

TRUE_TEXT = ("gt", "text", "answer")
"""Columns that hold a document's true text, the first that there is."""


class Halves:
    """Two disjoint parts of a corpus.

    Args:
        shown: the part that is trained on.
        held_out: the part to measure on.
    """

    def __init__(self, shown: Corpus, held_out: Corpus) -> None:
        self.shown = shown
        self.held_out = held_out
        self._clusters = {side: _clusters(part) for side, part in self._parts.items()}
        self._texts = {side: "\0".join(map(_words, part.texts)) for side, part in self._parts.items()}

    @property
    def _parts(self) -> dict[Side, Corpus]:
        return {"shown": self.shown, "held_out": self.held_out}

    def side(self, doc: Mapping[str, Any]) -> Side:
        """Where a document lies; "untraced" when neither its cluster nor its true text occurs in the forget text."""
        text = next((doc[key] for key in TRUE_TEXT if isinstance(doc.get(key), str)), "")
        for side, clusters in self._clusters.items():
            if doc.get("cluster") in clusters:
                return side
        for side, whole in self._texts.items():
            if text.strip() and _words(text) in whole:
                return side
        return "untraced"

    @property
    def report(self) -> dict[str, Any]:
        """Clusters and numbers of examples, for diagnostics."""
        return {
            key: value
            for side, part in self._parts.items()
            for key, value in ((f"{side}_clusters", sorted(self._clusters[side])), (f"{side}_examples", len(part)))
        }


def halves(corpus: Corpus, seed: int) -> Halves:
    """Two halves of a corpus, by clusters (by examples where no example names one), drawn by the seed.

    The half that is shown is the larger where clusters are odd in number.

    Raises:
        DataError: there is only one cluster.
    """
    units = [example.cluster or str(i) for i, example in enumerate(corpus.examples)]
    names = list(dict.fromkeys(units))
    if len(names) < 2:
        raise DataError(
            f"corpus {corpus.name} is one piece, so no half can be held out from relearning: give it as several rows, "
            "or with a 'cluster' column"
        )
    random.Random(seed).shuffle(names)
    shown = set(names[: -(-len(names) // 2)])

    def half(inside: bool) -> Corpus:
        chosen = (e for e, unit in zip(corpus.examples, units, strict=True) if (unit in shown) == inside)
        return Corpus(f"{corpus.name}/{'shown' if inside else 'held_out'}", tuple(chosen))

    return Halves(half(True), half(False))


def _clusters(corpus: Corpus) -> set[str]:
    return {example.cluster for example in corpus.examples} - {""}


def _words(text: str) -> str:
    """The text with every run of white space as one blank: decoding and re-wrapping must not hide a passage."""
    return " ".join(text.split())
