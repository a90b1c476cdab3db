"""Answers on disk: what was stored comes back, what was damaged does not."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from robust_unlearn_bench.harness.answer_cache import AnswerCache


@pytest.fixture
def cache(tmp_path: Path) -> AnswerCache:
    cache = AnswerCache(tmp_path / "answers" / "model.sqlite")
    cache.put(["a", "b"], [["Once", -1.5], "🙂 upon"])
    return cache


def edit(cache: AnswerCache, statement: str) -> None:
    with closing(sqlite3.connect(cache.path)) as database, database:
        database.execute(statement)


def test_answers_come_back_in_order_or_not_at_all(cache: AnswerCache) -> None:
    assert cache.get(["b", "a"]) == ["🙂 upon", ["Once", -1.5]]
    assert cache.get(["a", "c"]) is None


@pytest.mark.parametrize(
    "statement",
    [
        """UPDATE checked SET answer = '["Never", 0.0]' WHERE key = 'a'""",
        "UPDATE checked SET answer = (SELECT answer FROM checked WHERE key = 'b'), "
        "checksum = (SELECT checksum FROM checked WHERE key = 'b') WHERE key = 'a'",
        "UPDATE checked SET answer = substr(answer, 1, 5) WHERE key = 'a'",
    ],
)
def test_an_answer_that_is_not_what_was_stored_counts_as_missing(cache: AnswerCache, statement: str) -> None:
    """An edited answer was taken for the model's, in every later run."""
    edit(cache, statement)
    assert cache.get(["a"]) is None
    assert cache.get(["b"]) is not None
    cache.put(["a"], [["Once", -1.5]])
    assert cache.get(["a"]) == [["Once", -1.5]]
