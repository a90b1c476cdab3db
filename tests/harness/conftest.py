"""Every attack in a short form, on a suite of sixteen sentences."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from robust_unlearn_bench.attacks import ATTACKS, AttackSpec, parse
from robust_unlearn_bench.errors import MissingExtraError
from robust_unlearn_bench.harness.plan import Plan
from robust_unlearn_bench.harness.session import AttackSession, Tag
from robust_unlearn_bench.suites import Corpora, Corpus, Example, Suite

CORPORA = Corpora(
    Corpus("toy/forget", tuple(Example(f"the old baker sang in the blue tower {n}") for n in range(8))),
    Corpus("toy/retain", tuple(Example(f"who wrote the new iron in a river {n}") for n in range(8))),
)
TOY = Suite("toy", "1", (), lambda data_dir: None, lambda source: CORPORA, ("none",))
SHORT = {
    **{family: f"{family}2(lr=0.001)" for family in ("relearn", "relearn_const", "relearn_split", "finetune")},
    "relearn_retain": "relearn2_retain(lr=0.001)",
    "relearn_ep": "relearn_ep1(lr=0.001)",
    "lora_relearn": "lora_relearn2",
    "gptq": "gptq4(group_size=16,samples=4,length=32)",
    "prune": "prune50(samples=4,length=32)",
}


def _state(model: Any) -> dict[str, Any]:
    return {name: tensor.clone() for name, tensor in [*model.named_parameters(), *model.named_buffers()]}


@pytest.fixture
def state() -> Callable[[Any], dict[str, Any]]:
    """Copies of all parameters and buffers of a model."""
    return _state


@pytest.fixture
def attacked() -> Callable[[Any, str], tuple[dict[str, Any], Plan]]:
    """Run an attack, by family or spec: the state under it, and its plan; the session has restored the weights."""

    def run(lm: Any, attack: str) -> tuple[dict[str, Any], Plan]:
        family = AttackSpec((ATTACKS[attack](),)).name if attack in ATTACKS else attack
        plan = Plan(parse(SHORT.get(attack) or family), TOY)
        during: dict[str, Any] = {}

        def look(instances: Any, bar: Any) -> list[Any]:
            during.update(_state(lm.model))
            return [None] * len(instances)

        session = AttackSession(lm)
        session._ask = look
        try:
            session.run([SimpleNamespace(rub=Tag(plan, "token_scores"), args=("", {}))])
        except MissingExtraError as error:
            pytest.skip(str(error))
        return during, plan

    return run
