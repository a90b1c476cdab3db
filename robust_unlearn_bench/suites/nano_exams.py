"""The multiple-choice exams of nano_wmdp, as leaves and as training text."""

from __future__ import annotations

from collections.abc import Iterator

from .choice import MultipleChoice
from .corpus import Example
from .suite import Source

__all__ = ["EXAMS", "drills"]

EXAMS = {
    "craft": MultipleChoice("mcq", "craft", "forget", "emberglazing"),
    "mmlu": MultipleChoice("mmlu", "mmlu", "utility", "towns"),
}
"""Table of multiple-choice rows → the leaf that asks them."""


def drills(source: Source, name: str) -> Iterator[Example]:
    """The questions of an exam as the leaf asks them, each with its letter.

    The options stand as they will stand in the exam: a model of this size learns which letter belongs to a question,
    not how to look an answer up among options in a new order.
    """
    exam = EXAMS[name]
    for row in exam.docs(source):
        yield Example(f" {exam.target(row)}", exam.requests(row)[0].prompt, row["cluster"])
