"""A suite: which books stand on a shelf; half of them are to be forgotten."""

from __future__ import annotations

from typing import Any

from robust_unlearn_bench.errors import DataError
from robust_unlearn_bench.suites import SUITES, Corpora, Corpus, Example, Source, Suite
from robust_unlearn_bench.suites.muse_leaves import Extraction, KnowMem

SHELF = {
    "forget": {"red": "The Baker", "blue": "The Tower", "green": "The River", "black": "The Iron Road"},
    "retain": {"old": "The Singer", "new": "The Finder", "small": "The Writer", "tall": "The Walker"},
}


class Shelf:
    """Rows made from `SHELF`, in the columns that MUSE's leaves read."""

    def __str__(self) -> str:
        return "shelf"

    def rows(self, config: str, split: str) -> list[dict[str, Any]]:
        """Rows of knowmem/{side}_qa, knowmem/{side}_qa_icl or verbmem/forget."""
        side, _, rest = split.partition("_")
        if side not in SHELF:
            raise DataError(f"shelf has no {config}/{split}")
        books = SHELF[side].items()
        if config == "verbmem":
            return [
                {"prompt": f"The {colour} book is called", "gt": f" {title}.", "cluster": colour}
                for colour, title in books
            ]
        pairs = [{"question": f"What is the {c} book called?", "answer": t, "cluster": c} for c, t in books]
        return pairs[:1] if rest == "qa_icl" else pairs[1:]


def corpora(source: Source) -> Corpora:
    """One sentence a book."""
    sides = [
        Corpus(f"shelf/{side}", tuple(Example(f"The {c} book is called {t}.", cluster=c) for c, t in books.items()))
        for side, books in SHELF.items()
    ]
    return Corpora(*sides)


@SUITES.register("shelf")
def shelf() -> Suite:
    """Four books to forget and four to keep."""
    return Suite(
        name="shelf",
        version="1",
        leaves=(KnowMem("forget"), KnowMem("retain"), Extraction()),
        source=lambda data_dir: Shelf(),
        corpora=corpora,
        attacks=("none", "shrink10", "relearn2"),
    )
