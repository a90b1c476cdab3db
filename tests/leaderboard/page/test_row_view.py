from __future__ import annotations

import pytest
from simulated_records import TASKS, World, config_of

from robust_unlearn_bench.leaderboard.page.row_view import rerun
from robust_unlearn_bench.leaderboard.record.attack_id import AttackId


@pytest.mark.parametrize(
    ("suite", "attack", "group"),
    [
        ("nano_books", "none", "nano_books"),
        ("nano_books", "relearn20_retain", "nano_books__relearn20_retain"),
        ("wmdp_bio", "none", "wmdp_bio__none"),  # wmdp_bio is a task of lm-eval's own
        ("of_another_package", "none", "of_another_package"),
    ],
)
def test_the_group_that_measures_an_attack_again(suite: str, attack: str, group: str) -> None:
    record = World(suite=suite, clusters=2).entry("Model", {"none": dict.fromkeys(TASKS, 0.5)}).record
    command = rerun(record, AttackId.of(attack, [config_of(attack)]))
    assert str(command).startswith(f"lm_eval --tasks {group} --model hf ")
    assert rerun(record, AttackId.of(f"{attack}@0123456789ab", [config_of(attack)])) is None
