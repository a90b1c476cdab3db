"""TOFU on its real data, and the published logs through the very functions that the leaves score with."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from robust_unlearn_bench.errors import DataError
from robust_unlearn_bench.suites import SUITES
from robust_unlearn_bench.suites.retrain_reference import Reference, from_tofu_log, item_id, warn_missing
from robust_unlearn_bench.suites.tofu import TofuForget, TofuUtility

PARTS = {
    "retain": "eval_log.json",
    "real_authors": "eval_real_author_wo_options.json",
    "world_facts": "eval_real_world_wo_options.json",
    "forget": "eval_log_forget.json",
}


@pytest.fixture(scope="session")
def data(shared: Path) -> str:
    return str(shared / "data")


@pytest.fixture(scope="session")
def logs(shared: Path) -> dict[str, dict[str, Any]]:
    return {
        name: json.loads((shared / f"reference/tofu_logs/llama2-7b_{name}.json").read_text(encoding="utf-8"))
        for name in ("full", "retain90")
    }


def docs_of(leaf: Any, data: str) -> list[dict[str, Any]]:
    docs: list[dict[str, Any]] = leaf.docs(SUITES["tofu_forget10"].source(data))
    return docs


def logged_answers(log: dict[str, Any], doc: dict[str, Any]) -> list[dict[str, Any]]:
    """What a model would have answered for the log to read as it does: one token with the mean log-probability."""
    i = str(doc["row"])
    losses = [log["avg_gt_loss"][i], log["avg_paraphrased_loss"][i], *log["average_perturb_loss"][i]]
    return [{"text": log["generated_text"][i][1]}, *({"logprobs": [-loss]} for loss in losses)]


def as_logged(doc: dict[str, Any]) -> dict[str, Any]:
    """The authors scored the plain answer again where there is no paraphrase; in bf16 their two numbers differ."""
    return {**doc, "paraphrased_answer": doc["paraphrased_answer"] or doc["answer"]}


def scores(leaf: Any, docs: list[dict[str, Any]], log: dict[str, Any]) -> dict[str, float]:
    """Metric → number, as the harness computes it: unscored documents left out."""
    rows = []
    for doc in docs:
        part = log[PARTS[doc.get("set", "forget")]]
        if str(doc["row"]) in part["avg_gt_loss"]:
            rows.append(leaf.score(as_logged(doc), logged_answers(part, doc)))
    kept = {m.name: [row[m.name] for row in rows if row[m.name] is not None] for m in leaf.metrics}
    return {m.name: m.aggregate(kept[m.name]) for m in leaf.metrics if kept[m.name]}


@pytest.mark.parametrize(("model", "geometric", "arithmetic"), [("full", 0.6227, 0.5859), ("retain90", 0.6137, 0.5752)])
def test_published_model_utility(
    data: str, logs: dict[str, dict[str, Any]], model: str, geometric: float, arithmetic: float
) -> None:
    got = scores(TofuUtility(), docs_of(TofuUtility(), data), logs[model])
    assert got["model_utility"] == pytest.approx(geometric, abs=1e-4)
    assert got["model_utility_arith"] == pytest.approx(arithmetic, abs=1e-4)
    assert got["model_utility_first300"] == got["model_utility"]  # the logs hold the first 300 rows only


def test_published_forget_quality(
    data: str, logs: dict[str, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite = SUITES["tofu_forget10"]
    leaf = suite.leaf("forget")
    docs = docs_of(leaf, data)
    reference = from_tofu_log(
        logs["retain90"]["eval_log_forget.json"],
        docs,
        suite=suite.name,
        suite_version=suite.version,
        model="llama2-7b retain90",
    )
    reference.write(tmp_path / "reference.json")
    monkeypatch.setenv("RUB_REFERENCE", str(tmp_path / "reference.json"))
    got = scores(leaf, docs_of(leaf, data), logs["full"])
    assert got["forget_quality_first300"] == pytest.approx(1.834e-21, rel=0.01)
    assert "forget_quality" not in got  # a log of 300 rows says nothing about the other 100
    assert got["prob"] == pytest.approx(0.9904, abs=1e-3)
    monkeypatch.setenv("RUB_REFERENCE", "")
    twin = TofuForget(suite.name, suite.version, "forget10", str(tmp_path / "reference.json"))
    assert scores(twin, docs, logs["retain90"])["forget_quality_first300"] == 1.0


def test_rouge_equals_the_published_one(data: str, logs: dict[str, dict[str, Any]]) -> None:
    leaf = TofuUtility()
    for doc in docs_of(leaf, data):
        log = logs["full"][PARTS[doc["set"]]]
        i = str(doc["row"])
        if i in log["rougeL_recall"]:
            value = leaf.score(as_logged(doc), logged_answers(log, doc))[f"{doc['set']}_rouge"]
            assert value == pytest.approx(log["rougeL_recall"][i], abs=1e-9), doc["question"]


def test_model_utility_stderr_is_that_of_authors(data: str, logs: dict[str, dict[str, Any]]) -> None:
    leaf = TofuUtility()
    metric = leaf.metrics[0]
    docs = [doc for doc in docs_of(leaf, data) if doc["row"] < 300]
    values = [
        leaf.score(as_logged(doc), logged_answers(logs["full"][PARTS[doc["set"]]], doc))[metric.name] for doc in docs
    ]
    assert callable(metric.stderr)
    authors = metric.stderr(values, [doc["cluster"] for doc in docs])
    assert 0.002 < authors < 0.03
    # Twenty times the same question about each retained author is no more evidence than one.
    once = [i for i, doc in enumerate(docs) if doc["set"] != "retain" or doc["row"] % 20 == 0]
    repeated = [i for i in once for _ in range(20 if docs[i]["set"] == "retain" else 1)]
    both = [metric.stderr([values[i] for i in at], [docs[i]["cluster"] for i in at]) for at in (once, repeated)]
    assert both[0] == pytest.approx(both[1])


@pytest.mark.parametrize(("percent", "rows"), [(1, 40), (5, 200), (10, 400)])
def test_documents_of_the_real_data(data: str, percent: int, rows: int) -> None:
    suite = SUITES[f"tofu_forget{percent:02d}"]
    docs = suite.leaf("forget").docs(suite.source(data))
    assert len(docs) == rows
    assert len({doc["cluster"] for doc in docs}) == rows // 20
    assert len({item_id(doc) for doc in docs}) == rows
    corpora = suite.corpora(suite.source(data))
    assert (len(corpora.forget), len(corpora.retain)) == (rows, 4000 - rows)
    assert corpora.forget.texts[0] == f"Question: {docs[0]['question']}\nAnswer: {docs[0]['answer']}"
    assert [example.cluster for example in corpora.forget.examples[19:21]] == [
        f"forget{percent:02d}-0",
        f"forget{percent:02d}-1",
    ]


def test_utility_documents_of_the_real_data(data: str) -> None:
    docs = docs_of(TofuUtility(), data)
    assert [sum(doc["set"] == name for doc in docs) for name in ("retain", "real_authors", "world_facts")] == [
        400,
        100,
        117,
    ]
    assert len({tuple(doc) for doc in docs}) == 1, "one schema for all rows"


def test_requests_byte_for_byte(data: str) -> None:
    leaf = SUITES["tofu_forget10"].leaf("forget")
    doc = docs_of(leaf, data)[1]
    free, *given = leaf.requests(doc)
    question = "What does Hsiao Yun-Hwa identify as in terms of gender?"
    assert (free.kind, free.prompt) == ("generate", f"Question: {question}\nAnswer:")
    assert free.options == {"max_new_tokens": 200, "chat": question}
    assert [request.kind for request in given] == ["token_scores"] * 7
    assert {request.prompt for request in given} == {f"Question: {question}\nAnswer: "}
    assert given[0].options == {"text": "Hsiao Yun-Hwa is part of the LGBTQ+ community.", "eos": True, "chat": question}
    assert [request.options["text"] for request in given[1:]] == [doc["paraphrased_answer"], *doc["perturbed_answer"]]
    real = next(d for d in docs_of(TofuUtility(), data) if d["set"] == "real_authors")
    assert len(TofuUtility().requests(real)) == 1 + 1 + 3


def test_scores_by_hand() -> None:
    doc = {
        "question": "q",
        "answer": "the old town",
        "paraphrased_answer": "p",
        "perturbed_answer": ["x", "y"],
        "row": 0,
    }
    # exp of the mean: answer 1/2 and 1/8 → 1/4; paraphrase 1/2; perturbed 1/4 and 1/16 → geometric 1/8, R = 1/4
    half = -0.6931471805599453
    answers = [{"text": "an old town"}] + [{"logprobs": x} for x in ([half, 3 * half], [half], [2 * half], [4 * half])]
    got = TofuForget("s", "1", "forget10").score(doc, answers)
    assert got["prob"] == pytest.approx(1 / 4)
    assert got["rouge"] == pytest.approx(2 / 3)
    assert got["truth_ratio"] == pytest.approx(1 / 4)
    assert got["truth_ratio_arith"] == pytest.approx(5 / 16)
    assert got["log_truth_ratio"] == pytest.approx(2 * half)
    real = {**doc, "paraphrased_answer": None, "set": "world_facts"}
    got = TofuUtility().score(real, [answers[0], answers[2], answers[3], answers[4]])
    assert got["world_facts_prob"] == pytest.approx(8 / 13)
    assert got["world_facts_truth_ratio"] == pytest.approx(3 / 4)
    assert got["retain_prob"] is None


def test_an_unread_set_leaves_model_utility_undefined() -> None:
    metric = TofuUtility().metrics[0]
    values = [{"retain_prob": 0.5, "retain_rouge": 0.5, "retain_truth_ratio": 0.5}]
    assert metric.aggregate(values) != metric.aggregate(values)


def test_without_a_reference_one_warning_and_no_number(
    data: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RUB_REFERENCE", raising=False)
    warn_missing.cache_clear()
    leaf = SUITES["tofu_forget10"].leaf("forget")
    answers = [{"text": ""}, *({"logprobs": [-1.0]} for _ in range(7))]
    with caplog.at_level(logging.WARNING, "robust_unlearn_bench"):
        for doc in docs_of(leaf, data)[:3]:
            assert set(leaf.score(doc, answers)) == {metric.name for metric in leaf.metrics}
        docs_of(leaf, data)
    assert not any("quality" in metric.name or "ks" in metric.name for metric in leaf.metrics)
    (record,) = caplog.records
    assert "rub reference build RESULTS --out FILE" in record.getMessage()
    assert "set RUB_REFERENCE=FILE" in record.getMessage()


def test_privleak_needs_holdout_authors_and_for_its_own_name_a_reference(
    mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RUB_REFERENCE", raising=False)
    suite = SUITES["tofu_forget10"]
    leaf = suite.leaf("privleak")
    assert leaf not in suite.leaves
    docs = leaf.docs(suite.source(str(mirror)))
    assert [doc["side"] for doc in docs] == ["forget"] * 3 + ["holdout"] * 3
    (request,) = leaf.requests(docs[0])
    assert request.prompt == "Question: Who wrote forget10 book 0?\nAnswer: "
    question = "Who wrote forget10 book 0?"
    assert request.options == {"text": "Author 0 of forget10.", "eos": True, "stats": True, "chat": question}
    assert [metric.name for metric in leaf.metrics] == [
        "familiarity",
        "familiarity_loss",
        "auc_min40",
        "auc_loss",
        "auc_zlib",
        "auc_minkpp",
    ]

    fields = (1, "tofu_forget10", "2", "retrain", "", False, {"a": 0.0}, 0.5)
    Reference(*fields).write(tmp_path / "reference.json")
    monkeypatch.setenv("RUB_REFERENCE", str(tmp_path / "reference.json"))
    # Forget scores 1, 5, 3 and holdout scores 4, 2, 2.5: holdout lies below forget in 5 of 9 pairs.
    answers = [{"logprobs": [-x, 0.0, 0.0], "mean": [-1.0] * 3, "std": [1.0] * 3} for x in (1, 5, 3, 4, 2, 2.5)]
    values = [leaf.score(doc, [answer])["privleak"] for doc, answer in zip(docs, answers, strict=True)]
    assert leaf.metrics[0].aggregate(values) == pytest.approx((5 / 9 - 0.5) / 0.5)


def test_missing_data_names_the_dataset(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"forget10_perturbed/train of locuslab/TOFU is not in the local mirror"):
        docs_of(SUITES["tofu_forget10"].leaf("forget"), str(tmp_path))
