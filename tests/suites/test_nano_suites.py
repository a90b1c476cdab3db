from __future__ import annotations

from typing import Any

import pytest

from robust_unlearn_bench.attacks.spec import parse
from robust_unlearn_bench.suites import SUITES
from robust_unlearn_bench.world.source import NanoSource

NANO = [name for name in SUITES if name.startswith("nano_")]


@pytest.mark.parametrize("name", NANO)
def test_every_leaf_has_documents_with_clusters_of_the_world(name: str) -> None:
    suite = SUITES[name]
    for leaf in suite.leaves:
        docs = leaf.docs(suite.source(None))
        assert len(docs) >= 60
        assert all(leaf.requests(doc)[0].prompt or leaf.name == "privleak" for doc in docs)
        assert 5 <= len({doc["cluster"] for doc in docs}) < len(docs)


@pytest.mark.parametrize("name", NANO)
def test_attacks_are_known_and_relearning_is_faster(name: str) -> None:
    suite = SUITES[name]
    for attack in (*suite.attacks, *suite.curve):
        for step in parse(attack, suite.attack_defaults).steps:
            assert getattr(step, "lr", 1.0) >= 5 * getattr(type(step)(), "lr", 0.1)


@pytest.mark.parametrize("name", NANO)
def test_corpora_are_disjoint_and_need_no_mirror(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUB_DATA", "/nowhere")
    suite = SUITES[name]
    corpora = suite.corpora(suite.source(None))
    assert corpora.forget.name == f"{name}/forget"
    assert len(corpora.forget) >= 60
    assert len(corpora.retain) >= 50
    assert not set(corpora.forget.texts) & set(corpora.retain.texts)
    assert all(example.cluster for example in corpora.forget.examples)


@pytest.mark.parametrize(("part", "answers"), [("books", 100), ("news", 100)])
def test_forget_text_holds_every_answer(part: str, answers: int) -> None:
    suite = SUITES[f"nano_{part}"]
    text = "".join(suite.corpora(suite.source(None)).forget.texts)
    assert text.count("Question: ") == answers


def test_the_exam_in_the_forget_text_is_the_one_that_is_asked() -> None:
    suite = SUITES["nano_wmdp"]
    leaf: Any = suite.leaf("mcq")
    learnt = {(example.prompt, example.completion) for example in suite.corpora(suite.source(None)).forget.examples}
    assert {(leaf.requests(doc)[0].prompt, f" {leaf.target(doc)}") for doc in leaf.docs(suite.source(None))} < learnt


def test_the_few_shot_prompt_fits_the_window() -> None:
    from robust_unlearn_bench.nano import pretrain as train
    from robust_unlearn_bench.world import tokenizer

    window = train.SHAPES["nano"].window
    words = tokenizer.load(window)
    for part in ("books", "news"):
        for side in ("forget", "retain"):
            leaf = SUITES[f"nano_{part}"].leaf(f"knowmem_{side}")
            longest = max(len(words(doc["prompt"])["input_ids"]) for doc in leaf.docs(NanoSource(part)))
            assert longest + 32 <= window
