"""What a model says and what it holds: savings, deviations, and maxima that do not flatter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from simulated_records import TASKS, World

from robust_unlearn_bench.leaderboard.record.attack_id import AttackId
from robust_unlearn_bench.leaderboard.scoring.board import Board, Row
from robust_unlearn_bench.leaderboard.scoring.families import readers
from robust_unlearn_bench.leaderboard.scoring.scorer import score

HOLDS = {"answer_prob": {"metric": "prob", "role": "holds", "higher_means": "more_knowledge"}}
ATTACKS = ("none", "gptq4", "relearn10", "relearn20", "relearn40", "relearn20_retain")
RETRAIN = (0.1, 0.1, 0.15, 0.3, 0.9, 0.1)  # has learnt the text itself after 40 steps
TARGET = (0.95,) * 6


def levels(forget: tuple[float, ...], held: float = 0.1) -> dict[str, dict[str, float]]:
    return {
        attack: {"verbmem": x, "knowmem_forget": x, "knowmem_retain": 0.9, "answer_prob": held}
        for attack, x in zip(ATTACKS, forget, strict=True)
    }


@pytest.fixture(scope="module")
def holding() -> World:
    return World(tasks={**TASKS, **HOLDS})


def board_of(world: World, models: Mapping[str, dict[str, dict[str, float]]], **options: Any) -> Board:
    target = world.entry("Target", levels(TARGET, 0.95), kind="target")
    retrain = world.entry("Retrain", levels(RETRAIN), kind="retrain")
    return score([world.entry(name, model) for name, model in models.items()], target, retrain, **options)


def row_of(board: Board, name: str) -> Row:
    return next(row for row in board.rows if row.record.display_name == name)


def test_savings_are_the_area_between_row_and_retrain_model_over_that_of_the_target(holding: World) -> None:
    """Budgets 0, 10 and 20 lie at 5, 10 and 20 on the logarithmic axis; at 40 the retrain model knows the text."""
    row = row_of(board_of(holding, {"half": levels((0.1, 0.1, 0.5, 0.7, 0.95, 0.1))}), "half")
    found = next(e for e in row.envelopes if e.attacker == "with the text" and e.task.endswith("verbmem"))
    assert found.budgets == (0, 10, 20, 40)
    assert found.counted == 3
    weights = np.array([0.5, 1.0, 0.5])
    above, gap = (np.subtract(own, found.retrain)[:3] @ weights for own in (found.row, found.target))
    assert found.savings.value == pytest.approx(above / gap, abs=0.03)  # cross-fitted, so not to the last digit


def test_a_row_that_needs_as_many_steps_as_learning_saves_nothing(holding: World) -> None:
    row = row_of(board_of(holding, {"never saw": levels(RETRAIN)}), "never saw")
    assert row.says.value == pytest.approx(1.0, abs=0.03)
    assert row.holds.value == pytest.approx(1.0, abs=0.05)


def test_a_hider_that_one_step_undoes_has_forgotten_nothing(holding: World) -> None:
    row = row_of(board_of(holding, {"hider": levels((0.1, 0.1, 0.94, 0.95, 0.95, 0.1))}), "hider")
    plain = row_of(board_of(holding, {"open": levels(TARGET)}), "open")
    assert row.says.value is not None
    assert plain.says.value == pytest.approx(0.0, abs=0.02)
    assert row.says.value < 0.35


def test_what_returns_without_the_text_counts_in_full(holding: World) -> None:
    """Relearning on retain text never shows the measured text, so its control does not learn it."""
    row = row_of(board_of(holding, {"thin": levels((0.1, 0.1, 0.15, 0.3, 0.9, 0.9))}), "thin")
    kinds = {e.attacker: e for e in row.envelopes if e.task.endswith("verbmem")}
    assert kinds["without the text"].counted == len(kinds["without the text"].budgets)
    assert row.says.value is not None
    assert row.says.value < 0.6
    assert row.worst is not None
    assert row.worst.attack == "relearn20_retain"


@pytest.mark.parametrize(("held", "least", "most"), [(0.1, 0.95, 1.0), (0.525, 0.42, 0.58), (0.95, 0.0, 0.05)])
def test_holding_is_seen_though_nothing_is_said(holding: World, held: float, least: float, most: float) -> None:
    row = row_of(board_of(holding, {"silent": levels(RETRAIN, held)}), "silent")
    assert row.says.value == pytest.approx(1.0, abs=0.03)
    assert row.holds.value is not None
    assert least <= row.holds.value <= most
    assert row.robust_forgetting.value == pytest.approx(min(row.holds.value, row.says.value or 0))


def test_knowing_less_than_a_model_that_never_saw_is_a_trace_too(holding: World) -> None:
    target = holding.entry("Target", levels(TARGET, 0.9), kind="target")
    retrain = holding.entry("Retrain", levels(RETRAIN, 0.5), kind="retrain")
    row = row_of(score([holding.entry("over", levels(RETRAIN, 0.1))], target, retrain), "over")
    assert row.holds.value == pytest.approx(0.0, abs=0.1)


def test_attacks_on_the_forget_text_say_nothing_about_what_is_held(holding: World) -> None:
    trained = {**levels(RETRAIN)}
    for attack in ("relearn10", "relearn20", "relearn40"):
        trained[attack] = {**trained[attack], "answer_prob": 0.95}
    row = row_of(board_of(holding, {"trained": trained}), "trained")
    assert row.holds.value == pytest.approx(1.0, abs=0.05)
    assert {held.cell.attack for held in row.held} == {"none", "gptq4", "relearn20_retain"}


@pytest.mark.parametrize("attacks", [3, 40])
def test_many_attacks_do_not_flatter_the_attacker(attacks: int) -> None:
    """A model that never saw is drawn anew under every attack; the largest of 40 noisy cells would be far above 0."""
    names = ("none", *(f"relearn{k}" for k in range(1, attacks)))

    def flat(x: float) -> dict[str, dict[str, float]]:
        return {name: {"verbmem": x, "knowmem_forget": x, "knowmem_retain": 0.9} for name in names}

    traces = []
    for seed in range(6):
        world = World(seed=seed, own=1.0)
        target, retrain = world.entry("T", flat(0.95), kind="target"), world.entry("G", flat(0.3), kind="retrain")
        row = row_of(score([world.entry("M", flat(0.3))], target, retrain, replicates=50), "M")
        traces.append(1 - (row.says.value or 0))
    assert np.mean(traces) < 0.03


def test_budgets_are_in_steps_and_half_texts_belong_to_those_who_lack_the_rest() -> None:
    def attack(name: str, *config: dict[str, Any]) -> AttackId:
        return AttackId.of(name, config)

    ids = [
        attack("none", {"attack": "none"}),
        attack("relearn50+gptq4", {"attack": "relearn", "k": 50}, {"attack": "gptq", "bits": 4}),
        attack("relearn_split20", {"attack": "relearn_split", "k": 20}),
        attack("relearn_ep1", {"attack": "relearn_ep", "epochs": 1}),
        attack("unheard of", {"attack": "unheard"}),
    ]
    assert [a.steps for a in ids] == [0, 50, 20, None, None]
    found = {attacker: [a.name for a in members] for attacker, members in readers(ids).items()}
    assert found == {
        "with the text": ["none", "relearn50+gptq4"],
        "without the text": ["none", "relearn_split20"],
    }
