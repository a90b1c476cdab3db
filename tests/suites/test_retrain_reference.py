from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from robust_unlearn_bench.errors import DataError
from robust_unlearn_bench.suites.retrain_reference import (
    Reference,
    build_reference,
    from_tofu_log,
    item_id,
    load_reference,
    read_reference,
)


def doc(i: int) -> dict[str, Any]:
    return {"question": f"q{i}", "answer": "a", "paraphrased_answer": "p", "perturbed_answer": ["x"], "row": i}


DOCS = [doc(i) for i in range(5)]


def reference(**changes: Any) -> Reference:
    fields = {
        "format": 1,
        "suite": "tofu_forget10",
        "suite_version": "1",
        "model": "retrain",
        "fingerprint": "f" * 64,
        "first300": False,
        "log_truth_ratio": {item_id(d): float(i) for i, d in enumerate(DOCS)},
    }
    return Reference(**{**fields, **changes})


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    reference().write(path)
    assert read_reference(path) == reference()
    assert load_reference("tofu_forget10", "1", str(path)) == reference()


def test_a_rewritten_file_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    reference().write(path)
    assert read_reference(path).model == "retrain"
    reference(model="another").write(path)
    assert read_reference(path).model == "another"


def test_an_item_is_its_content_whatever_surrounds_it() -> None:
    assert item_id(DOCS[0]) == item_id({**DOCS[0], "cluster": "c", "row": 9})
    assert item_id(DOCS[0]) != item_id({**DOCS[0], "perturbed_answer": ["y"]})


@pytest.mark.parametrize(("suite", "version"), [("tofu_forget05", "1"), ("tofu_forget10", "2")])
def test_another_suite_or_version_is_refused(tmp_path: Path, suite: str, version: str) -> None:
    reference().write(tmp_path / "r.json")
    with pytest.raises(DataError, match=rf"is for tofu_forget10 version 1, but {suite} version {version} is measured"):
        load_reference(suite, version, str(tmp_path / "r.json"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"surprise": 1}, r"malformed at surprise"),
        ({"suite": 3}, r"malformed at suite"),
        ({"log_truth_ratio": {"a": "high"}}, r"malformed at log_truth_ratio\.a"),
        ({"log_truth_ratio": {"a": None}}, r"malformed at log_truth_ratio\.a"),
        ({"format": 2}, r"has format 2, and this version reads 1"),
        ({"log_truth_ratio": {}}, r"holds no question"),
    ],
)
def test_a_malformed_file_is_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    path = tmp_path / "r.json"
    reference().write(path)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(DataError, match=message):
        read_reference(path)


@pytest.mark.parametrize("text", ["not json", '{"format": 1', '{"log_truth_ratio": {"a": NaN}}', "[]"])
def test_what_is_no_reference_at_all_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(DataError, match=r"is malformed at .* build it with `rub reference build`"):
        read_reference(tmp_path / "r.json")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no reference file .*nowhere\.json"):
        read_reference(tmp_path / "nowhere.json")


def test_every_question_must_be_covered() -> None:
    reference().require(DOCS)
    with pytest.raises(DataError, match="lacks 1 of 6 forget questions"):
        reference().require([*DOCS, doc(99)])


def test_the_retrain_model_is_not_compared_with_itself() -> None:
    with pytest.raises(DataError, match=r"is the retrain model retrain .* unset RUB_REFERENCE"):
        reference().refuse("f" * 64)
    reference().refuse("e" * 64)
    reference(fingerprint="").refuse("")


def results(folder: Path, *, limit: int | None = None, attack: str = "none", samples: bool = True) -> Path:
    """What lm-eval writes, as far as a reference needs it."""
    task = "tofu_forget10_forget" + ("" if attack == "none" else f"__{attack}")
    report = {
        "suite": "tofu_forget10",
        "suite_version": "1",
        "leaf": "forget",
        "attack": {"name": attack},
        "model": {"fingerprint": "f" * 64},
    }
    table = {
        "model_name": "retrain",
        "config": {"limit": limit},
        "configs": {task: {"metadata": {"robust_unlearn_bench": report}}},
        "results": {task: {}, "tofu_forget10_privleak": {"auc_min40,none": 0.52}},
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results_2026-01-01T00-00-00.0.json").write_text(json.dumps(table))
    if samples:
        lines = [json.dumps({"doc": d, "log_truth_ratio": float(i)}) for i, d in enumerate(DOCS)]
        (folder / f"samples_{task}_2026-01-01T00-00-00.0.jsonl").write_text("\n".join(lines))
    return folder


def test_build_from_results(tmp_path: Path) -> None:
    results(tmp_path / "out" / "model")
    assert build_reference(tmp_path / "out") == reference(auc_min40=0.52)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"limit": 10}, r"is of a --limit run"),
        ({"attack": "gptq4"}, r"holds no unattacked forget task"),
        ({"samples": False}, r"has no samples of tofu_forget10_forget next to it"),
    ],
)
def test_build_refuses_what_is_no_full_clean_run(tmp_path: Path, how: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        build_reference(results(tmp_path, **how))
    with pytest.raises(DataError, match=r"there is no results_\*\.json"):
        build_reference(tmp_path / "empty")


def test_build_refuses_repeated_and_unscored_questions(tmp_path: Path) -> None:
    folder = results(tmp_path)
    (samples,) = folder.glob("samples_*")
    lines = samples.read_text()
    samples.write_text(lines + "\n" + lines)
    with pytest.raises(DataError, match="question 'q0' occurs twice"):
        build_reference(folder)
    samples.write_text(json.dumps({"doc": DOCS[0]}))
    with pytest.raises(DataError, match="question 'q0' has no truth ratio"):
        build_reference(folder)


def test_a_log_of_other_rows_is_refused() -> None:
    log = {"avg_paraphrased_loss": {"0": 1.0, "7": 1.0}, "average_perturb_loss": {"0": [1.0], "7": [1.0]}}
    with pytest.raises(DataError, match="does not cover the first 5 rows"):
        from_tofu_log(log, DOCS, suite="s", suite_version="1", model="m")
