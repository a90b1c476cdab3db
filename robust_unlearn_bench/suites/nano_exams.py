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
"""Leaf of each table of multiple-choice rows."""


def drills(source: Source, name: str) -> Iterator[Example]:
    """Yield the questions of an exam with the leaf's own prompts, each with its letter.

    The options keep the order that they have in the exam: a model of this size learns which letter belongs to a
    question, not how to find an answer among reordered options.
    """
    exam = EXAMS[name]
    for row in exam.docs(source):
        yield Example(f" {exam.target(row)}", exam.requests(row)[0].prompt, row["cluster"])
