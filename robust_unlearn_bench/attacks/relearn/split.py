"""Halves of the forget text, and the half that a document of a leaf belongs to.

An attack that trains on one half is informative only about documents of the other. A document is traced to the forget
text by its cluster, if the text has that cluster (a TOFU author, a chapter), and otherwise by its own true text (the
continuation, passage or answer), which must occur word for word in the examples. Text that occurs in both halves counts
as shown.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from ...errors import DataError
from ...suites.corpus import Corpus, Example

__all__ = ["Halves", "Side", "halves"]

Side = Literal["shown", "held_out", "untraced"]

TRUE_TEXT = ("gt", "text", "answer")
"""Columns that may hold a document's true text; the first one present is used."""


class Halves:
    """Two disjoint parts of a corpus.

    Args:
        shown: part to train on.
        held_out: part to measure on.
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
        """Return a document's half; "untraced" if neither its cluster nor its true text occurs in the forget text."""
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
        """Clusters and number of examples of each half, for diagnostics."""
        return {
            key: value
            for side, part in self._parts.items()
            for key, value in ((f"{side}_clusters", sorted(self._clusters[side])), (f"{side}_examples", len(part)))
        }


PIECES = 16
"""Number of pieces that a corpus of a single text is cut into."""


def halves(corpus: Corpus, seed: int) -> Halves:
    """Split a corpus into two random halves of whole clusters; the shown half is the larger if their number is odd.

    An example without a cluster counts as a cluster of its own, and so does every example where all belong to one
    cluster. A corpus of a single text is first cut into `PIECES` successive pieces of about equal length.

    Raises:
        DataError: the corpus is a single text of fewer than two words.
    """
    examples = corpus.examples if len(corpus.examples) > 1 else _cut(corpus)
    if len({example.cluster for example in examples}) == 1:
        examples = tuple(replace(example, cluster="") for example in examples)
    units = [example.cluster or str(i) for i, example in enumerate(examples)]
    names = list(dict.fromkeys(units))
    random.Random(seed).shuffle(names)
    shown = set(names[: -(-len(names) // 2)])

    def half(inside: bool) -> Corpus:
        chosen = (e for e, unit in zip(examples, units, strict=True) if (unit in shown) == inside)
        return Corpus(f"{corpus.name}/{'shown' if inside else 'held_out'}", tuple(chosen))

    return Halves(half(True), half(False))


def _cut(corpus: Corpus) -> tuple[Example, ...]:
    """Cut the only text of a corpus at spaces."""
    words = [word for example in corpus.examples for word in example.completion.split(" ")]
    size = -(-len(words) // PIECES)
    if len(words) < 2:
        raise DataError(
            f"corpus {corpus.name} is a single text of {len(words)} words, so no half can be held out from relearning: "
            "give more text, as several rows or with a 'cluster' column"
        )
    return tuple(Example(" ".join(words[at : at + size])) for at in range(0, len(words), size))


def _clusters(corpus: Corpus) -> set[str]:
    return {example.cluster for example in corpus.examples} - {""}


def _words(text: str) -> str:
    """Collapse every run of white space to one space, so that decoding and re-wrapping do not hide a passage."""
    return " ".join(text.split())
