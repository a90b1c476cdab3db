"""A user's own files, and what is refused in them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from robust_unlearn_bench.errors import DataError
from robust_unlearn_bench.objectives.idk import REFUSALS
from robust_unlearn_bench.suites.corpus import Corpora, Corpus, Example
from robust_unlearn_bench.unlearn.corpora import read_jsonl, refuse_overlap, with_refusals


def test_three_kinds_of_line(tmp_path: Path) -> None:
    path = tmp_path / "f.jsonl"
    path.write_text(
        '{"text": "a b"}\n\n{"question": "q?", "answer": "a", "cluster": "c"}\n{"prompt": "p", "completion": "c"}\n'
    )
    assert read_jsonl(path).examples == (
        Example("a b"),
        Example(" a", "Question: q?\nAnswer:", "c"),
        Example("c", "p"),
    )


@pytest.mark.parametrize("line", ["{", "[1]", '{"text": 3}', '{"question": "q"}'])
def test_bad_line_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "f.jsonl"
    path.write_text(f'{{"text": "a"}}\n{line}\n')
    with pytest.raises(DataError, match=re.escape(f"{path}, line 2")):
        read_jsonl(path)


def test_missing_file() -> None:
    with pytest.raises(DataError, match=r"nowhere\.jsonl cannot be read"):
        read_jsonl("nowhere.jsonl")


def test_overlap_is_counted_and_refused() -> None:
    corpora = Corpora(
        Corpus("f", (Example("a  b"), Example("c"), Example("a", "p "))),
        Corpus("r", (Example("a b\n"), Example("p a"))),
    )
    with pytest.raises(DataError, match="2 of 3 examples in f are also in r"):
        refuse_overlap(corpora)
    assert refuse_overlap(corpora, allowed=2) == 2


def test_refusals_keep_the_prompt_and_the_space() -> None:
    corpus = Corpus("f", tuple(Example(" answer", f"Question: {i}\nAnswer:") for i in range(30)))
    refused = with_refusals("dpo", corpus, seed=0)
    assert [e.prompt for e in refused] == [e.prompt for e in corpus.examples]
    assert {e.completion for e in refused} <= {f" {r}" for r in REFUSALS}
    assert len({e.completion for e in refused}) > 3
    assert refused == with_refusals("dpo", corpus, seed=0) != with_refusals("dpo", corpus, seed=1)
