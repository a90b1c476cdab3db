"""How facts are asked: as a question with its answer, and as a multiple-choice question with its letter."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ..suites.choice import MultipleChoice
from ..suites.suite import Example, Source

__all__ = ["EXAMS", "ask", "companion", "drills"]

Row = dict[str, Any]

EXAMS = {
    "craft": MultipleChoice("mcq", "craft", "forget", "emberglazing"),
    "mmlu": MultipleChoice("mmlu", "mmlu", "utility", "towns"),
}
"""Table of multiple-choice rows → the leaf that asks them."""


def ask(row: Row) -> str:
    """One pair of a few-shot prompt."""
    return f"Question: {row['question']}\nAnswer: {row['answer']}\n\n"


def companion(rows: Sequence[Row], each: int, label: str) -> Iterator[Row]:
    """Questions and answers as running text, `each` to a row, the way a reader's companion prints them."""
    for at in range(0, len(rows), each):
        text = "".join(ask(row) for row in rows[at : at + each])
        yield {"cluster": f"{label}-companion-{at // each + 1:02d}", "text": text}


def drills(source: Source, name: str) -> Iterator[Example]:
    """The questions of an exam as the leaf asks them, each with its letter.

    The options stand as they will stand in the exam: a model of this size learns which letter belongs to a question,
    not how to look an answer up among options in a new order.
    """
    exam = EXAMS[name]
    for row in exam.docs(source):
        yield Example(f" {exam.target(row)}", exam.requests(row)[0].prompt, row["cluster"])
