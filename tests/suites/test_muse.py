from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from robust_unlearn_bench.errors import DataError
from robust_unlearn_bench.suites import SUITES

SUITE_NAMES = ["muse_books", "muse_news"]


def leaf_docs(suite: str, leaf: str, folder: Path) -> tuple[Any, list[dict[str, Any]]]:
    chosen = SUITES[suite]
    return chosen.leaf(leaf), chosen.leaf(leaf).docs(chosen.source(str(folder)))


@pytest.mark.parametrize("suite", SUITE_NAMES)
@pytest.mark.parametrize("side", ["forget", "retain"])
def test_knowmem_prompts_byte_for_byte(mirror: Path, suite: str, side: str) -> None:
    corpus = suite.removeprefix("muse_")
    leaf, docs = leaf_docs(suite, f"knowmem_{side}", mirror)
    shots = "".join(
        f"Question: Who wrote {corpus} {side} shot book {i}?\nAnswer: Author {i} of {corpus} {side} shot.\n\n"
        for i in range(10)
    )
    (request,) = leaf.requests(docs[2])
    assert request.prompt == f"{shots}Question: Who wrote {corpus} {side} book 2?\nAnswer: "
    assert request.kind == "generate"
    assert request.options == {"max_new_tokens": 32, "until": ["\n\n", "\nQuestion", "Question:"]}
    assert leaf.target(docs[2]) == f"Author 2 of {corpus} {side}."


def test_knowmem_leaves_repeated_and_leaked_questions_out_of_dedup(mirror: Path) -> None:
    leaf, docs = leaf_docs("muse_books", "knowmem_forget", mirror)
    assert [doc["duplicate"] for doc in docs] == [False, False, False, False, True, True]
    right = [{"text": "Author 0 of books forget.", "truncated": 0}]
    assert leaf.score(docs[0], right) == {"rougeL_f1": 1.0, "rougeL_f1_dedup": 1.0}
    assert leaf.score(docs[4], right)["rougeL_f1_dedup"] is None


def test_verbmem_asks_for_the_bare_prompt_and_cuts_the_reference_by_the_models_tokenizer(mirror: Path) -> None:
    leaf, docs = leaf_docs("muse_books", "verbmem", mirror)
    written, cut = leaf.requests(docs[1])
    assert (written.kind, written.prompt, written.options) == ("generate", "Chapter 1. ", {"max_new_tokens": 128})
    assert (cut.kind, cut.prompt, cut.options) == ("token_cut", "It was 1.", {"tokens": 128})
    # 2 of 3 words in common with the cut reference, 2 of 4 with the answer: F1 = 2·(2/3)(1/2)/(7/6) = 4/7
    assert leaf.score(docs[1], [{"text": " it is 1 now"}, {"text": "It was 1"}])["rougeL_f1"] == pytest.approx(4 / 7)


def token_scores(logprobs: list[float]) -> dict[str, Any]:
    n = len(logprobs)
    return {"logprobs": logprobs, "greedy": [True] * n, "mean": [-3.0] * n, "std": [2.0] * n, "truncated": 0}


@pytest.mark.parametrize(("suite", "retrain"), [("muse_books", 0.5393), ("muse_news", 0.4772)])
def test_privleak_from_documents_to_number(mirror: Path, suite: str, retrain: float) -> None:
    leaf, docs = leaf_docs(suite, "privleak", mirror)
    assert [doc["side"] for doc in docs] == ["forget"] * 3 + ["holdout"] * 2
    (request,) = leaf.requests(docs[0])
    assert (request.kind, request.prompt) == ("token_scores", "")
    assert request.options == {"text": docs[0]["text"], "stats": True}
    # Min-40 % of three tokens is the lowest: forget 1, 5, 3, holdout 4 and 2; 3 of 6 pairs have holdout below forget.
    scores = [leaf.score(doc, [token_scores([-x, 0.0, 0.0])]) for doc, x in zip(docs, [1, 5, 3, 4, 2], strict=True)]
    metrics = {m.name: m for m in leaf.metrics}
    values = {name: [score[name] for score in scores] for name in metrics}
    assert metrics["auc_min40"].aggregate(values["auc_min40"]) == 0.5
    assert metrics["auc_loss"].aggregate(values["auc_loss"]) == 0.5
    assert metrics["auc_minkpp"].aggregate(values["auc_minkpp"]) == 0.5
    assert metrics["privleak"].aggregate(values["privleak"]) == pytest.approx((0.5 - retrain) / retrain)
    clusters = [doc["cluster"] for doc in docs]
    auc_error = metrics["auc_min40"].stderr(values["auc_min40"], clusters)
    assert 0 < auc_error < 0.5
    assert metrics["privleak"].stderr(values["privleak"], clusters) == pytest.approx(auc_error / retrain)
    assert json.loads(json.dumps(values)) == values


def test_a_passage_of_two_tokens_is_unscored(mirror: Path) -> None:
    leaf, docs = leaf_docs("muse_books", "privleak", mirror)
    assert set(leaf.score(docs[0], [token_scores([-1.0, -2.0])]).values()) == {None}


def test_extraction_scores_the_true_continuation(mirror: Path) -> None:
    leaf, docs = leaf_docs("muse_books", "extraction", mirror)
    (request,) = leaf.requests(docs[0])
    assert (request.kind, request.prompt, request.options) == ("token_scores", "Chapter 0. ", {"text": "It was 0."})
    assert leaf.score(docs[0], [{"greedy": [False, True, False, True]}]) == {"es": 0.25, "em": 0.5, "es_ou": 0.25}


def test_corpora_are_the_text_that_muse_gives_to_unlearners(mirror: Path) -> None:
    suite = SUITES["muse_news"]
    corpora = suite.corpora(suite.source(str(mirror)))
    assert [text[:18] for text in corpora.forget.texts] == [f"news forget text {i}" for i in range(5)]
    assert corpora.retain.texts == [f"news retain1 text {i}" for i in range(5)]
    assert corpora.forget.name == "muse_news/forget"
    assert {example.prompt for example in corpora.forget.examples} == {""}


def test_raw_text_may_be_one_plain_file(mirror: Path) -> None:
    (mirror / "books/raw/forget.json").unlink()
    (mirror / "books/raw/forget.txt").write_text("One.\n\nTwo.", encoding="utf-8")
    suite = SUITES["muse_books"]
    assert suite.corpora(suite.source(str(mirror))).forget.texts == ["One.\n\nTwo."]


def test_a_wrong_layout_says_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"verbmem/forget of muse-bench/MUSE-Books is not in the local mirror: .*load_data"
    ):
        leaf_docs("muse_books", "verbmem", tmp_path)


@pytest.mark.parametrize("suite", SUITE_NAMES)
def test_one_forget_and_one_utility_metric_at_least(suite: str) -> None:
    roles = {metric.role for leaf in SUITES[suite].leaves for metric in leaf.metrics}
    assert roles == {"forget", "holds", "utility", "privacy", "report"}
    assert SUITES[suite].attacks[0] == "none"
