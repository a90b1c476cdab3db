"""What keeps a record out, and what is only labelled."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from simulated_records import World

from robust_unlearn_bench.leaderboard.check.validate import Verdict, check_weights, validate
from robust_unlearn_bench.leaderboard.record.entry import Entry
from robust_unlearn_bench.leaderboard.record.items import Items
from robust_unlearn_bench.leaderboard.record.sealing import seal
from robust_unlearn_bench.leaderboard.store import Anchors

VERBMEM = "nano_books_verbmem"


@pytest.fixture
def anchors(cast: dict[str, Entry]) -> Anchors:
    return Anchors(cast["target"], cast["retrain"])


def resealed(entry: Entry, items: dict[str, Items] | None = None, **fields: Any) -> Entry:
    told = {key: getattr(entry.record, key) for key in type(entry.record).model_fields if key != "submission_id"}
    return Entry.unsaved(seal(**{**told, **fields}), entry.items if items is None else items)


def errors(verdict: Verdict) -> list[str]:
    return [str(f) for f in verdict.findings if f.level == "error"]


def labels(verdict: Verdict) -> list[str]:
    return [str(f) for f in verdict.findings if f.level == "label"]


def test_an_honest_record_is_verified(cast: dict[str, Entry], anchors: Anchors) -> None:
    verdict = validate(cast["adam"], anchors)
    assert verdict.ok
    assert verdict.tier == "recomputed"
    assert errors(verdict) == []


def test_a_polished_value_is_caught_by_its_items(cast: dict[str, Entry], anchors: Anchors) -> None:
    results = list(cast["adam"].record.results)
    i = next(i for i, r in enumerate(results) if r.attack == "relearn50" and r.task == VERBMEM)
    results[i] = results[i].model_copy(update={"value": results[i].value - 2e-6})
    (message,) = errors(validate(resealed(cast["adam"], results=results), anchors))
    assert f"results.{i} (nano_books_verbmem rougeL_f1 relearn50).value" in message
    assert "its items give" in message


def test_other_documents_are_caught(cast: dict[str, Entry], anchors: Anchors) -> None:
    items = cast["adam"].items[VERBMEM]
    swapped = Items(("9" * 64, *items.doc_hash[1:]), items.prompt_hash, items.cluster, items.scores)
    entry = resealed(cast["adam"], {**cast["adam"].items, VERBMEM: swapped})
    assert any("line 1 doc_hash" in message for message in errors(validate(entry, anchors)))
    prompted = Items(items.doc_hash, (*items.prompt_hash[:-1], "9" * 64), items.cluster, items.scores)
    entry = resealed(cast["adam"], {**cast["adam"].items, VERBMEM: prompted})
    assert any("line 80 prompt_hash" in message for message in errors(validate(entry, anchors)))
    regrouped = Items(items.doc_hash, items.prompt_hash, tuple(f"q{i}" for i in range(80)), items.scores)
    entry = resealed(cast["adam"], {**cast["adam"].items, VERBMEM: regrouped})
    assert any("cluster" in message for message in errors(validate(entry, anchors)))


def test_another_attack_under_the_same_name_is_caught(cast: dict[str, Entry], anchors: Anchors) -> None:
    attacks = [a.model_copy(update={"config": [{**a.config[0], "lr": 1e-9}]}) for a in cast["adam"].record.attacks]
    assert any(
        "differs from the suite's in lr (1e-09, not None)" in m
        for m in errors(validate(resealed(cast["adam"], attacks=attacks), anchors))
    )


def test_a_metric_turned_round_is_caught(cast: dict[str, Entry], anchors: Anchors) -> None:
    suite = cast["adam"].record.suite
    task = suite.tasks[VERBMEM]
    spec = task.metrics["rougeL_f1"].model_copy(update={"role": "report"})
    tasks = {**suite.tasks, VERBMEM: task.model_copy(update={"metrics": {"rougeL_f1": spec}})}
    entry = resealed(cast["adam"], suite=suite.model_copy(update={"tasks": tasks}))
    assert any("the suite says forget" in m for m in errors(validate(entry, anchors)))


@pytest.mark.parametrize("control", ["target", "retrain"])
def test_a_control_under_a_new_name_is_caught(cast: dict[str, Entry], anchors: Anchors, control: str) -> None:
    model = cast[control].record.model.model_copy(update={"kind": "unlearned"})
    entry = resealed(cast[control], model=model, display_name="My method")
    assert any(f"the weights of the {control} model under a new name" in m for m in errors(validate(entry, anchors)))
    renamed = model.model_copy(update={"fingerprint": None})
    assert not validate(resealed(cast[control], model=renamed, display_name="My method"), anchors).ok


def test_only_maintainers_add_controls_and_nulls(cast: dict[str, Entry], anchors: Anchors) -> None:
    assert any("controls are set by maintainers" in m for m in errors(validate(cast["target"], None)))
    null = resealed(cast["random weights"], relationship="author")
    assert any("null" in m for m in errors(validate(null, anchors)))
    assert validate(cast["random weights"], anchors).ok


def test_duplicates_and_same_weights(cast: dict[str, Entry], anchors: Anchors) -> None:
    assert any("already on the board" in m for m in errors(validate(cast["adam"], anchors, [cast["adam"]])))
    again = resealed(cast["adam"], display_name="Again")
    verdict = validate(again, anchors, [cast["adam"]])
    assert verdict.ok
    assert any("the same weights as" in m for m in labels(verdict))


def test_without_items_the_tier_is_self_reported(cast: dict[str, Entry], anchors: Anchors) -> None:
    verdict = validate(Entry(cast["adam"].record, {}), anchors)
    assert verdict.ok
    assert verdict.tier == "self_reported"


def test_a_partial_record_is_kept_and_labelled(world: World, make_levels: Callable[..., Any], anchors: Anchors) -> None:
    some = {a: x for a, x in make_levels([0.1] * 5, [0.8] * 5).items() if a != "gptq4"}
    verdict = validate(world.entry("part", some), anchors)
    assert verdict.ok
    assert any("3 cells missing" in m for m in labels(verdict))


def test_oddities_are_labelled(world: World, make_levels: Callable[..., Any]) -> None:
    odd = world.entry("odd", make_levels([0.8, 0.1, 0.2, 0.2, 0.0], [0.8] * 5), seeds=(0, 1))
    items = {
        task: Items(p.doc_hash, p.prompt_hash, p.cluster, {
            (run, m): p.scores[run.replace("#1", ""), m] for run, m in p.scores
        })
        for task, p in odd.items.items()
    }  # fmt: skip
    values = {(r.task, r.metric, r.attack): r.value for r in odd.record.results if r.seed == 0}
    results = [r.model_copy(update={"value": values[r.task, r.metric, r.attack]}) for r in odd.record.results]
    attacks = [
        a.model_copy(update={"diagnostics": [{"flags": ["relearn_loss_did_not_fall"]}]} if a.seed else {})
        for a in odd.record.attacks
    ]
    seeded = Anchors(
        *(world.entry(name, make_levels([level] * 5, [0.9] * 5), kind=name.lower(), seeds=(0, 1))
          for name, level in (("Target", 0.95), ("Retrain", 0.2)))
    )  # fmt: skip
    found = labels(validate(resealed(odd, items, results=results, attacks=attacks), seeded))
    for words in ("improves forgetting", "over-unlearned", "gave identical items", "relearn loss did not fall"):
        assert any(words in m for m in found), words


def test_weight_files_are_compared(cast: dict[str, Entry], tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"other")
    (tmp_path / "more.safetensors").write_bytes(b"x")
    found = [str(f) for f in check_weights(cast["adam"].record, tmp_path)]
    assert any("model.safetensors: sha256 is" in m for m in found)
    assert any("more.safetensors: the record lists no such file" in m for m in found)


def test_a_suite_without_anchors_is_labelled(cast: dict[str, Entry]) -> None:
    verdict = validate(cast["adam"], None)
    assert verdict.ok
    assert verdict.tier == "self_reported"
    assert any("has no anchors here" in m for m in labels(verdict))
