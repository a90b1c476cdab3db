"""Questions about facts of the world: one with its answer, or a page of them as running text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

__all__ = ["ask", "companion"]

Row = dict[str, Any]


def ask(row: Row) -> str:
    """Return one question-answer pair of a few-shot prompt."""
    return f"Question: {row['question']}\nAnswer: {row['answer']}\n\n"


def companion(rows: Sequence[Row], each: int, label: str) -> Iterator[Row]:
    """Yield rows of running text with `each` questions and answers, as a study guide prints them."""
    for at in range(0, len(rows), each):
        text = "".join(ask(row) for row in rows[at : at + each])
        yield {"cluster": f"{label}-companion-{at // each + 1:02d}", "text": text}
