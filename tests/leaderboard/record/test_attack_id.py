from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from robust_unlearn_bench.attacks import ATTACKS, parse
from robust_unlearn_bench.leaderboard.record.attack_id import AttackId, without_seed
from robust_unlearn_bench.suites import SUITES


def identified(text: str, name: str | None = None) -> AttackId:
    spec = parse(text)
    return AttackId.of(name or spec.label, spec.config)


@pytest.mark.parametrize(
    ("text", "family", "amount", "unit"),
    [
        ("relearn50", "relearn", 50, "steps"),
        ("relearn_const25", "relearn_const", 25, "steps"),
        ("relearn20_retain", "relearn_retain", 20, "steps"),
        ("relearn_ep3", "relearn_ep", 3, "epochs"),
        ("lora_relearn50", "lora_relearn", 50, "steps"),
        ("finetune100", "finetune", 100, "steps"),
        ("gptq4", "gptq", None, None),
        ("prune50", "prune", None, None),
        ("none", "none", None, None),
        ("relearn50+gptq4", None, None, None),
    ],
)
def test_family_and_budget(text: str, family: str | None, amount: int | None, unit: str | None) -> None:
    found = identified(text)
    assert (found.family, found.amount, found.unit) == (family, amount, unit)
    assert (found.name, found.label, found.own) == (text, text, True)


@pytest.mark.parametrize("suite", list(SUITES))
def test_the_standard_attacks_of_a_suite_are_its_own(suite: str) -> None:
    defaults = SUITES[suite].attack_defaults
    for name in (*SUITES[suite].attacks, *SUITES[suite].curve):
        assert AttackId.of(name, parse(name, defaults).config).own


def test_attacks_lie_on_one_line_when_they_differ_in_their_amount_alone() -> None:
    assert identified("relearn10").line == identified("relearn50").line == "relearn"
    assert identified("relearn10").line == identified("relearn50(seed=1)").line
    assert identified("relearn50_retain").line == "relearn_retain"
    others = [
        identified(text, f"relearn{k}@{k:012d}") for k, text in ((1, "relearn1(lr=0.1)"), (2, "relearn2(lr=0.1)"))
    ]
    assert others[0].line == others[1].line
    assert others[0].line not in (None, "relearn", identified("relearn1(lr=0.2)", "relearn1@000000000003").line)
    assert identified("gptq4").line is identified("relearn50+gptq4").line is None


def test_other_parameters_are_not_the_suites_own() -> None:
    found = identified("relearn50(lr=0.1)+gptq4", "relearn50+gptq4@0123456789ab")
    assert (found.own, found.label) == (False, "relearn50+gptq4")
    assert found.fragment == "relearn50-gptq4-0123456789ab"


@pytest.mark.parametrize(
    "config",
    [
        [{"attack": "of_another_package", "version": 1, "k": 50}],
        [{"attack": ["relearn"], "k": 50}],
        [{"k": 50}],
        [{}],
        [],
        [{"attack": "relearn", "k": "50"}],
        [{"attack": "relearn", "k": True}],
        [{"attack": "relearn"}],
    ],
)
def test_what_is_not_known_has_no_budget(config: list[dict[str, Any]]) -> None:
    found = AttackId.of("strange", config)
    assert (found.amount, found.unit, found.line, found.own) == (None, None, None, False)


def test_ids_are_values() -> None:
    assert {identified("relearn50"), identified("relearn50(seed=3)"), identified("relearn10")} == {
        identified("relearn50"),
        identified("relearn10"),
    }
    assert without_seed([{"attack": "noise", "seed": 1}]) == [{"attack": "noise"}]


def test_records_of_the_first_version_are_identified(root: Path) -> None:
    path = root / "leaderboard" / "anchors" / "nano_books-1" / "target" / "record.json"
    attacks = json.loads(path.read_text())["attacks"]
    found = [AttackId.of(attack["name"], attack["config"]) for attack in attacks]
    assert all(attack.own for attack in found)
    assert [attack.amount for attack in found] == [None, None, None, 10, 20, 50, 20]
    assert {attack.family for attack in found} <= set(ATTACKS)
