"""Plans: names, keys, and which documents say anything under an attack."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from robust_unlearn_bench.errors import DataError
from robust_unlearn_bench.harness.plan import plan_attack
from robust_unlearn_bench.suites import SUITES


def scored(suite: str, leaf: str, attack: str = "relearn_split20", data_dir: str | None = None) -> Any:
    """Documents, those that are scored, and the counts in the report."""
    plan = plan_attack(attack, suite, data_dir)
    chosen = SUITES[suite].leaf(leaf)
    docs = chosen.docs(SUITES[suite].source(data_dir))
    keep = plan.scored(chosen, docs)
    return docs, [doc for doc in docs if keep(doc)], plan.report.get("documents")


@pytest.mark.parametrize("leaf", ["verbmem", "extraction"])
def test_only_chapters_that_were_held_out_are_scored(leaf: str) -> None:
    docs, kept, counts = scored("nano_books", leaf)
    forget = SUITES["nano_books"].corpora(SUITES["nano_books"].source(None)).forget
    parts = plan_attack("relearn_split20", "nano_books").spec.steps[0].halves(forget)
    relearned = {example.cluster for example in parts.shown.examples}
    assert counts == {"shown": len(docs) - len(kept), "held_out": len(kept), "untraced": 0}
    assert 0 < len(kept) < len(docs)
    assert relearned.isdisjoint(doc["cluster"] for doc in kept)
    assert all(doc["gt"] not in example.completion for doc in kept for example in parts.shown.examples)


def test_an_answer_that_any_relearned_text_gives_away_is_not_scored() -> None:
    docs, kept, counts = scored("nano_books", "knowmem_forget")
    forget = SUITES["nano_books"].corpora(SUITES["nano_books"].source(None)).forget
    parts = plan_attack("relearn_split20", "nano_books").spec.steps[0].halves(forget)
    assert 0 < len(kept) == counts["held_out"] < len(docs)
    assert not [doc for doc in kept if any(doc["answer"] in text for text in parts.shown.texts)]


@pytest.mark.parametrize(
    ("suite", "leaf"), [("nano_books", "knowmem_retain"), ("nano_tofu", "utility"), ("nano_wmdp", "mmlu")]
)
def test_utility_stays_whole(suite: str, leaf: str) -> None:
    docs, kept, counts = scored(suite, leaf)
    assert kept == docs
    assert counts is None


def test_membership_keeps_all_text_that_no_model_has_seen() -> None:
    docs, kept, counts = scored("nano_books", "privleak")
    sides = [doc["side"] for doc in kept]
    assert sides.count("holdout") == sum(doc["side"] == "holdout" for doc in docs)
    assert sides.count("forget") == counts["held_out"] == 40


def test_authors_and_exams_are_traced_by_cluster() -> None:
    for suite, leaf in (("nano_tofu", "forget"), ("nano_wmdp", "mcq")):
        docs, kept, counts = scored(suite, leaf)
        split = {doc["cluster"] for doc in kept}
        assert split.isdisjoint(doc["cluster"] for doc in docs if doc not in kept)
        assert counts["untraced"] == 0 < counts["held_out"] < len(docs)


def test_tofu_authors_are_blocks_of_twenty_rows(shared: Path) -> None:
    _, kept, counts = scored("tofu_forget10", "forget", data_dir=str(shared / "data"))
    assert counts == {"shown": 200, "held_out": 200, "untraced": 0}
    authors = {doc["row"] // 20 for doc in kept}
    assert [doc["row"] for doc in kept] == [row for row in range(400) if row // 20 in authors]
    assert len(authors) == 10


def test_other_attacks_score_everything() -> None:
    for attack in ("none", "relearn20", "gptq4"):
        docs, kept, counts = scored("nano_books", "verbmem", attack)
        assert (kept, counts) == (docs, None)


def test_a_composition_is_split_too() -> None:
    assert scored("nano_books", "verbmem", "relearn_split20+gptq4") == scored("nano_books", "verbmem")


def test_rows_of_a_mirror_without_clusters_are_not_matched_by_their_numbers(mirror: Path) -> None:
    """raw/forget row 3 and verbmem/forget row 3 have nothing to do with each other."""
    (mirror / "books/raw/forget.json").write_text(json.dumps([f"books forget text {i}" for i in range(5)]))
    with pytest.raises(
        DataError, match=r"muse_books verbmem none can be traced .* \(3 to neither\): leave this task out"
    ):
        scored("muse_books", "verbmem", data_dir=str(mirror))


def test_a_mirror_without_clusters_is_traced_by_its_text(mirror: Path) -> None:
    texts = [f"Chapter {i}. It was {i}.  And then some." for i in range(3)]
    (mirror / "books/raw/forget.json").write_text(json.dumps(texts))
    _, kept, counts = scored("muse_books", "verbmem", data_dir=str(mirror))
    assert counts == {"shown": 2, "held_out": 1, "untraced": 0}
    assert len(kept) == 1


def test_forget_text_apart_from_the_questions_is_refused(mirror: Path) -> None:
    with pytest.raises(DataError, match="wmdp_bio mcq none can be traced"):
        scored("wmdp_bio", "mcq", data_dir=str(mirror))


@pytest.mark.parametrize("attack", ["relearn20", "relearn20_retain", "gptq4"])
def test_missing_forget_text_names_the_dataset(mirror: Path, attack: str) -> None:
    (mirror / "books/raw/forget.json").unlink()
    with pytest.raises(DataError, match=r"raw/forget of muse-bench/MUSE-Books is not in the local mirror.*RUB_DATA"):
        plan_attack(attack, "muse_books", str(mirror)).context(None, 64, lambda done, total, what: None)


def test_a_domain_without_forget_text_cannot_be_relearnt(mirror: Path) -> None:
    plan = plan_attack("relearn20", "wmdp_chem", str(mirror))
    context = plan.context(None, 64, lambda done, total, what: None)
    with pytest.raises(DataError, match="corpus wmdp_chem/forget is empty, so attack relearn has nothing to train on"):
        plan.spec.steps[0].apply(None, context)
