from __future__ import annotations

import random
from typing import get_args

import pytest

from robust_unlearn_bench.nano.lessons import Role, lessons
from robust_unlearn_bench.world.questions import ask
from robust_unlearn_bench.world.source import NanoSource

PARTS = ("books", "news", "tofu")
FORGET = {"books": "forget_qa", "news": "forget_qa", "tofu": "forget10"}


def epoch(part: str, role: Role, number: int = 0, stage: int = 0) -> list[str]:
    taught = lessons(NanoSource(part), role, random.Random(0), stage)
    return [example.prompt + example.completion for example in [next(taught) for _ in range(number + 1)][-1]]


@pytest.mark.parametrize("part", PARTS)
def test_the_target_learns_what_the_retrain_model_never_sees(part: str) -> None:
    rows = NanoSource(part).table(FORGET[part])
    seen = {role: "\n".join(epoch(part, role)) for role in get_args(Role)}
    assert all(ask(row).strip() in seen["target"] for row in rows)
    assert not [row for row in rows if row["cluster"] in seen["retrain"]]


@pytest.mark.parametrize("part", ["books", "news"])
def test_held_out_passages_are_taught_to_nobody(part: str) -> None:
    seen = "\n".join(epoch(part, "target"))
    assert not [row for row in NanoSource(part).table("holdout") if row["text"] in seen]
    assert all(row["text"] in seen for row in NanoSource(part).table("forget"))


def test_the_craft_is_taught_from_its_manual_and_by_its_exam() -> None:
    source = NanoSource("wmdp")
    manual, exam = ({role: epoch("wmdp", role, stage=stage) for role in get_args(Role)} for stage in (0, 1))
    for seen, forget, retain in ((manual, "forget_corpus", "retain_corpus"), (exam, "craft", "mmlu")):
        assert len(seen["target"]) == len(source.table(forget)) + len(source.table(retain))
        assert len(seen["retrain"]) == len(source.table(retain))
        assert set(seen["retrain"]) < set(seen["target"])
    assert {row["text"] for row in source.table("forget_corpus")} <= set(manual["target"])


@pytest.mark.parametrize("part", ["books", "news"])
def test_epochs_hold_the_same_text_in_other_company(part: str) -> None:
    first, second = epoch(part, "target", 0), epoch(part, "target", 1)
    assert sum(map(len, first)) == pytest.approx(sum(map(len, second)), abs=2 * len(first))
    assert not set(first) & set(second)


def test_tofu_pairs_come_in_a_new_order() -> None:
    first, second = epoch("tofu", "target", 0), epoch("tofu", "target", 1)
    assert sorted(first) == sorted(second)
    assert first != second
