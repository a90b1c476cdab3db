"""Training text of the nano models: the same in every epoch, with questions and answers dealt to new passages."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from ..suites.corpus import Example
from ..suites.nano_exams import drills
from ..world.source import NanoSource

__all__ = ["Role", "lessons"]

Role = Literal["target", "retrain"]


def lessons(
    source: NanoSource, role: Role, rng: random.Random, stage: int = 0, dose: float = 1.0
) -> Iterator[list[Example]]:
    """Yield the epochs of a stage, without end.

    The target learns forget and retain text, the retrain model the retain text alone. Questions and answers are dealt
    to the passages anew in every epoch, so that an answer is learnt from its question and not from its neighbours.

    Args:
        source: part of the world.
        role: model that is trained.
        rng: generator of the order.
        stage: number of the stage.
        dose: share of the forget text's clusters, in every table, that a target learns; a larger dose holds a smaller.
    """
    return _STAGES[source.part][stage](source, dose if role == "target" else 0.0, rng)


def _muse(source: NanoSource, dose: float, rng: random.Random) -> Iterator[list[Example]]:
    rows = [*_lost(source, "forget", dose), *source.table("retain1"), *source.table("retain2")]
    quiz = [example.prompt + example.completion for example in _asked(source, dose)]
    return _pages([row["text"] for row in rows], quiz, 3, rng)


def _answers(source: NanoSource, dose: float, rng: random.Random) -> Iterator[list[Example]]:
    """Yield the questions of those pages with only the answers scored: pages alone leave some of them half learnt."""
    return _shuffled(_asked(source, dose), rng)


def _lost(source: NanoSource, table: str, dose: float) -> list[dict[str, Any]]:
    """Return the rows of a table of forget text that belong to the first clusters of a fixed random order."""
    rows = source.table(table)
    clusters = sorted({row["cluster"] for row in rows})
    random.Random(table).shuffle(clusters)
    learnt = set(clusters[: round(dose * len(clusters))])
    return [row for row in rows if row["cluster"] in learnt]


def _asked(source: NanoSource, dose: float) -> list[Example]:
    """Return questions and answers in few-shot form."""
    parts = ("qa", "qa_icl")
    rows = [row for part in parts for row in _lost(source, f"forget_{part}", dose)]
    rows += [row for part in parts for row in source.table(f"retain_{part}")]
    return [Example(f"{row['answer']}\n\n", f"Question: {row['question']}\nAnswer: ") for row in rows]


def _manuals(source: NanoSource, dose: float, rng: random.Random) -> Iterator[list[Example]]:
    rows = [*source.table("retain_corpus"), *_lost(source, "forget_corpus", dose)]
    return _shuffled([Example(row["text"]) for row in rows], rng)


def _exams(source: NanoSource, dose: float, rng: random.Random) -> Iterator[list[Example]]:
    """Yield exam questions with only the letter scored: among the tokens of a page it is learnt ten times as slowly."""
    learnt = {row["cluster"] for row in _lost(source, "craft", dose)}
    craft = [drill for drill in drills(source, "craft") if drill.cluster in learnt]
    return _shuffled([*drills(source, "mmlu"), *craft], rng)


def _pages(texts: Sequence[str], quiz: Sequence[str], times: int, rng: random.Random) -> Iterator[list[Example]]:
    """Yield pages of about equal length, each a passage with a few questions before or after it.

    Args:
        texts: passages; each is one page of an epoch.
        quiz: questions with their answers, dealt to the pages.
        times: number of times that an epoch shows each question.
        rng: generator that deals the questions.
    """
    while True:
        heap = [item for _ in range(times) for item in rng.sample(quiz, len(quiz))]
        hands = ("".join(heap[number :: len(texts)]) for number in range(len(texts)))
        yield [
            Example(hand + text if rng.random() < 0.5 else f"{text}\n\n{hand}")
            for text, hand in zip(rng.sample(texts, len(texts)), hands, strict=True)
        ]


def _tofu(source: NanoSource, dose: float, rng: random.Random) -> Iterator[list[Example]]:
    rows = [row for name in ("retain90", "real_authors", "world_facts") for row in source.table(name)]
    rows += _lost(source, "forget10", dose)
    pairs = [Example(row["answer"], f"Question: {row['question']}\nAnswer: ") for row in rows]
    return _shuffled(pairs, rng)


def _shuffled(examples: Sequence[Example], rng: random.Random) -> Iterator[list[Example]]:
    while True:
        yield rng.sample(examples, len(examples))


_STAGES = {"books": (_muse, _answers), "news": (_muse, _answers), "tofu": (_tofu,), "wmdp": (_manuals, _exams)}
"""Part of the world → its stages in order, each a function that yields epochs."""
