"""Training text of the nano models: the same in every epoch, with questions and answers dealt to new passages."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Literal

from ..suites.corpus import Example
from ..suites.nano_exams import drills
from ..world.source import NanoSource

__all__ = ["Role", "lessons"]

Role = Literal["target", "retrain"]


def lessons(source: NanoSource, role: Role, rng: random.Random, stage: int = 0) -> Iterator[list[Example]]:
    """Yield the epochs of a stage, without end.

    The target learns forget and retain text, the retrain model the retain text alone. Questions and answers are dealt
    to the passages anew in every epoch, so that an answer is learnt from its question and not from its neighbours.
    """
    return _STAGES[source.part][stage](source, role == "target", rng)


def _muse(source: NanoSource, target: bool, rng: random.Random) -> Iterator[list[Example]]:
    splits = (*_lost(target), "retain1", "retain2")
    texts = [row["text"] for split in splits for row in source.table(split)]
    return _pages(texts, [example.prompt + example.completion for example in _asked(source, target)], 3, rng)


def _answers(source: NanoSource, target: bool, rng: random.Random) -> Iterator[list[Example]]:
    """Yield the questions of those pages with only the answers scored: pages alone leave some of them half learnt."""
    return _shuffled(_asked(source, target), rng)


def _lost(target: bool) -> tuple[str, ...]:
    return ("forget",) if target else ()


def _asked(source: NanoSource, target: bool) -> list[Example]:
    """Return questions and answers in few-shot form."""
    tables = [f"{side}_{part}" for side in (*_lost(target), "retain") for part in ("qa", "qa_icl")]
    return [
        Example(f"{row['answer']}\n\n", f"Question: {row['question']}\nAnswer: ")
        for table in tables
        for row in source.table(table)
    ]


def _manuals(source: NanoSource, target: bool, rng: random.Random) -> Iterator[list[Example]]:
    corpora = ("retain_corpus", "forget_corpus")[: 1 + target]
    return _shuffled([Example(row["text"]) for name in corpora for row in source.table(name)], rng)


def _exams(source: NanoSource, target: bool, rng: random.Random) -> Iterator[list[Example]]:
    """Yield exam questions with only the letter scored: among the tokens of a page it is learnt ten times as slowly."""
    return _shuffled([drill for name in ("mmlu", "craft")[: 1 + target] for drill in drills(source, name)], rng)


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


def _tofu(source: NanoSource, target: bool, rng: random.Random) -> Iterator[list[Example]]:
    sets = ("retain90", "real_authors", "world_facts", "forget10")[: 3 + target]
    pairs = [
        Example(row["answer"], f"Question: {row['question']}\nAnswer: ") for name in sets for row in source.table(name)
    ]
    return _shuffled(pairs, rng)


def _shuffled(examples: Sequence[Example], rng: random.Random) -> Iterator[list[Example]]:
    while True:
        yield rng.sample(examples, len(examples))


_STAGES = {"books": (_muse, _answers), "news": (_muse, _answers), "tofu": (_tofu,), "wmdp": (_manuals, _exams)}
"""Part of the world → its stages in order, each a function that yields epochs."""
