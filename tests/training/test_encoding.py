"""What is tokenised, and what is scored."""

from __future__ import annotations

from typing import Any

import pytest

from robust_unlearn_bench.errors import DataError
from robust_unlearn_bench.suites.corpus import Example
from robust_unlearn_bench.training.encoding import encode


class Letters:
    """One token per character, so that every expected id can be written down."""

    bos_token_id: int | None = 0
    eos_token_id: int | None = 1

    def __call__(self, texts: list[str], **options: Any) -> dict[str, list[list[int]]]:
        assert options["add_special_tokens"] is False
        return {"input_ids": [[ord(c) for c in text] for text in texts]}


def ids(text: str) -> tuple[int, ...]:
    return tuple(map(ord, text))


def test_running_text_becomes_windows_that_each_start_with_bos() -> None:
    got = encode([Example("abcde"), Example("xy")], Letters(), window=3)
    assert [s.ids for s in got] == [(0, *ids("ab")), (0, *ids("cd")), (0, *ids("e")), (0, *ids("xy"))]
    assert [s.start for s in got] == [1, 1, 1, 1]
    assert [s.source for s in got] == [0, 0, 0, 1]


def test_pair_is_scored_on_completion_and_eos_only() -> None:
    (got,) = encode([Example(prompt="q?", completion=" a")], Letters(), window=99)
    assert got.ids == (0, *ids("q? a"), 1)
    assert got.ids[got.start :] == (*ids(" a"), 1)


def test_space_at_the_end_of_the_prompt_moves_to_the_completion() -> None:
    (got,) = encode([Example(prompt="q: ", completion="a")], Letters(), window=99)
    assert got.ids[got.start :] == (*ids(" a"), 1)


def test_long_pair_loses_prompt_on_the_left_then_completion_on_the_right() -> None:
    (got,) = encode([Example(prompt="abcd", completion="ef")], Letters(), window=6)
    assert got.ids == (0, *ids("cdef"), 1)
    assert (got.start, got.cut) == (3, 2)
    (got,) = encode([Example(prompt="abcd", completion="efgh")], Letters(), window=4)
    assert got.ids == (0, *ids("efg"))
    assert (got.start, got.cut) == (1, 6)


def test_tokenizer_without_bos_uses_eos_as_prefix_and_without_both_none() -> None:
    tokenizer = Letters()
    tokenizer.bos_token_id = None
    assert encode([Example("ab")], tokenizer, 8)[0].ids == (1, *ids("ab"))
    tokenizer.eos_token_id = None
    (got,) = encode([Example("ab")], tokenizer, 8)
    assert (got.ids, got.start) == (ids("ab"), 1)


def test_same_split_as_lm_eval(tiny_tokenizer: Any, tiny_lm: Any) -> None:
    """The completion's tokens are those that lm-eval scores."""
    example = Example(prompt="Question: who sang?\nAnswer: ", completion="the old baker")
    context, continuation = tiny_lm()._encode_pair(example.prompt, example.completion)
    (got,) = encode([example], tiny_tokenizer, 64)
    assert list(got.ids[got.start : -1]) == continuation
    assert list(got.ids[1 : got.start]) == [i for i in context if i != tiny_tokenizer.bos_token_id]


@pytest.mark.parametrize("example", [Example(""), Example(completion="", prompt="")])
def test_empty_text_is_refused_by_its_number(example: Example) -> None:
    with pytest.raises(DataError, match="example 1 "):
        encode([Example("a"), example], Letters(), 8)
