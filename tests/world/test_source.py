from __future__ import annotations

import pytest

from robust_unlearn_bench.errors import DataError
from robust_unlearn_bench.suites.general import general_corpus
from robust_unlearn_bench.world.generate import generate
from robust_unlearn_bench.world.source import NanoSource, everything


@pytest.mark.parametrize("part", ["books", "news"])
def test_muse_views_of_one_table(part: str) -> None:
    source = NanoSource(part)
    passages = source.rows("privleak", "forget")
    for row, passage in zip(source.rows("verbmem", "forget"), passages, strict=True):
        assert f"{row['prompt']} {row['gt']}" == passage["text"]
        assert row["cluster"] == passage["cluster"]
    assert source.rows("raw", "forget")[: len(passages)] == passages
    assert source.rows("privleak", "retain") == source.rows("raw", "retain2")


def test_raw_text_holds_every_pair_once_in_the_few_shot_form() -> None:
    source = NanoSource("books")
    pairs = source.rows("knowmem", "forget_qa") + source.rows("knowmem", "forget_qa_icl")
    companion = [row["text"] for row in source.rows("raw", "forget") if "companion" in row["cluster"]]
    assert len(companion) == 10
    assert "".join(companion) == "".join(f"Question: {p['question']}\nAnswer: {p['answer']}\n\n" for p in pairs)


def test_rows_may_be_changed_without_changing_the_source() -> None:
    NanoSource("tofu").rows("forget10", "train")[0]["answer"] = "spoilt"
    assert NanoSource("tofu").rows("forget10", "train")[0]["answer"] != "spoilt"


@pytest.mark.parametrize(
    ("part", "config", "split", "message"),
    [
        ("books", "rwa", "forget", "nano_books has no config 'rwa': it has verbmem"),
        ("news", "knowmem", "forget_aq", "nano_news has no table 'forget_aq': it has forget"),
        ("tofu", "forget01", "train", "nano_tofu has no table 'forget01': it has forget10"),
    ],
)
def test_what_is_not_there_is_named_with_what_is(part: str, config: str, split: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        NanoSource(part).rows(config, split)


def test_another_size_is_made_when_asked_for() -> None:
    assert NanoSource("books", "micro").rows("privleak", "forget") == generate("micro")["books/forget"]


def test_benign_text_has_no_names() -> None:
    corpus = general_corpus()
    assert len(corpus) == 80
    names = {row["cluster"] for part in ("books", "news") for row in NanoSource(part).rows("knowmem", "forget_qa")}
    assert not [name for name in names if any(name in text for text in corpus.texts)]


def test_everything_is_every_text() -> None:
    texts = set(everything(generate()))
    assert {row["text"] for row in NanoSource("news").rows("privleak", "holdout")} <= texts
