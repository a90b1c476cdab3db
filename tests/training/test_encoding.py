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

    def __call__(self, text: str | list[str], add_special_tokens: bool, verbose: bool = True) -> dict[str, Any]:
        head = [self.bos_token_id] if add_special_tokens and self.bos_token_id is not None else []
        if isinstance(text, str):
            return {"input_ids": [*head, *map(ord, text)]}
        return {"input_ids": [self(one, add_special_tokens)["input_ids"] for one in text]}


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


def test_tokenizer_that_adds_no_bos_gets_no_other_token_in_its_place() -> None:
    tokenizer = Letters()
    tokenizer.bos_token_id = None
    windows = encode([Example("abcd"), Example("ef")], tokenizer, 2)
    assert [(window.ids, window.start) for window in windows] == [(ids("ab"), 1), (ids("cd"), 1), (ids("ef"), 1)]
    (pair,) = encode([Example(prompt="q?", completion=" a")], tokenizer, 99)
    assert (pair.ids, pair.start) == ((*ids("q? a"), 1), 2)


KINDS = {
    "llama": {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"},
    "pythia": {"bos_token": "</s>", "eos_token": "</s>", "pad_token": "<pad>"},
    "qwen": {"eos_token": "</s>", "pad_token": "<pad>"},
}
"""Special tokens as three families have them; the first alone puts one of them before a text."""


@pytest.fixture(params=KINDS)
def tokenizer(request: pytest.FixtureRequest, tiny_tokenizer: Any) -> Any:
    from tokenizers import Tokenizer, processors
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer.from_str(tiny_tokenizer.backend_tokenizer.to_str())
    if request.param != "llama":
        backend.post_processor = processors.ByteLevel(trim_offsets=False)
    return PreTrainedTokenizerFast(tokenizer_object=backend, **KINDS[request.param])


PASSAGE = "the old baker sang in the blue tower"


@pytest.mark.parametrize("text", [PASSAGE, "</s>" + PASSAGE, "<s>" + PASSAGE])
def test_training_and_evaluation_see_and_score_the_same_tokens(tokenizer: Any, tiny_llama: Any, text: str) -> None:
    from lm_eval.models.huggingface import HFLM

    from robust_unlearn_bench.harness.token_requests import Ask, answer

    lm = HFLM(pretrained=tiny_llama(), tokenizer=tokenizer)
    examples = [Example(text), Example(prompt="Question: who sang? \nAnswer: ", completion=text)]
    seen: list[list[int]] = []
    lm.model.register_forward_pre_hook(
        lambda _, __, kwargs: seen.append(kwargs["input_ids"][0].tolist()), with_kwargs=True
    )
    for example in examples:
        (trained,) = encode([example], tokenizer, 64)
        options = {"text": example.completion, "eos": bool(example.prompt)}
        (scored,) = answer(lm, [Ask("token_scores", example.prompt, options)])
        assert tuple(seen[-1]) == trained.ids
        assert len(scored["logprobs"]) == len(trained.ids) - trained.start
        generated = Ask("generate", example.prompt + example.completion, {"max_new_tokens": 1})
        answer(lm, [generated])
        assert tuple(seen[-1]) == trained.ids[: len(seen[-1])]
        assert len(seen[-1]) == len(trained.ids) - options["eos"]


def test_without_bos_the_first_token_alone_has_no_prediction(tokenizer: Any) -> None:
    words = tokenizer(PASSAGE, add_special_tokens=False)["input_ids"]
    (got,) = encode([Example(PASSAGE)], tokenizer, 64)
    assert list(got.ids) == tokenizer(PASSAGE)["input_ids"]
    assert list(got.ids[got.start :]) == (words if tokenizer.bos_token == "<s>" else words[1:])


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
