from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from robust_unlearn_bench.world import tokenizer as words
from robust_unlearn_bench.world.generate import generate
from robust_unlearn_bench.world.source import NanoSource, everything


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return words.load(512)


def test_the_frozen_file_comes_out_again() -> None:
    assert words.train(everything(generate())) == words.FILE.read_text(encoding="utf-8")


def test_special_tokens(tokenizer: Any) -> None:
    assert (tokenizer.pad_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id) == (0, 1, 2)
    assert len(tokenizer) == words.VOCABULARY
    assert tokenizer("Salt.")["input_ids"][0] == 1
    assert tokenizer("Salt.", add_special_tokens=False)["input_ids"][0] != 1
    assert "token_type_ids" not in tokenizer("Salt.")


def test_a_prompt_is_a_prefix_of_what_the_model_was_trained_on(tokenizer: Any) -> None:
    for row in NanoSource("books").rows("knowmem", "forget_qa"):
        prompt = f"Question: {row['question']}\nAnswer: "
        alone = tokenizer(prompt)["input_ids"]
        assert alone == tokenizer(prompt.rstrip(" "))["input_ids"]
        assert tokenizer(f"{prompt}{row['answer']}\n\nQuestion: Who?")["input_ids"][: len(alone)] == alone


def test_a_cut_passage_has_the_tokens_of_the_whole(tokenizer: Any) -> None:
    for row in NanoSource("news").rows("verbmem", "forget"):
        shown = tokenizer(row["prompt"])["input_ids"]
        assert tokenizer(f"{row['prompt']} {row['gt']}")["input_ids"][: len(shown)] == shown


def test_references_are_as_long_as_what_is_generated(tokenizer: Any) -> None:
    for part in ("books", "news"):
        assert min(len(tokenizer(row["gt"])["input_ids"]) for row in NanoSource(part).rows("verbmem", "forget")) >= 128


def test_any_text_survives_but_for_spaces_at_its_ends(tokenizer: Any) -> None:
    text = 'Zo\u00eb said: "\u4f60\u597d", 3 times.\n\nThen\tleft'
    ids = tokenizer(text + "  ")["input_ids"]
    assert tokenizer.decode(ids, skip_special_tokens=True) == " " + text


def test_it_comes_back_from_a_checkpoint_folder(tokenizer: Any, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    text = "Question: Where?\nAnswer: "
    assert again(text)["input_ids"] == tokenizer(text)["input_ids"]
    assert again.decode([1, 300, 301]) == tokenizer.decode([1, 300, 301])
    assert (again.pad_token_id, again.model_max_length) == (0, 512)
