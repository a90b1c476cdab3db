"""After every registered attack the weights are what they were, bit for bit."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from robust_unlearn_bench.attacks import ATTACKS, AttackSpec, parse
from robust_unlearn_bench.errors import MissingExtraError
from robust_unlearn_bench.harness.plan import Plan
from robust_unlearn_bench.harness.session import AttackSession, Tag
from robust_unlearn_bench.suites import Corpora, Corpus, Example, Suite

FORGET = [f"the old baker sang in the blue tower {n}" for n in range(8)]
RETAIN = [f"who wrote the new iron in a river {n}" for n in range(8)]
CORPORA = Corpora(
    Corpus("toy/forget", tuple(Example(text) for text in FORGET)),
    Corpus("toy/retain", tuple(Example(text) for text in RETAIN)),
)
TOY = Suite("toy", "1", (), lambda data_dir: None, lambda source: CORPORA, ("none",))  # no source needed

SHORT = {
    "relearn": "relearn2(lr=0.001)",
    "relearn_const": "relearn_const2(lr=0.001)",
    "relearn_retain": "relearn2_retain(lr=0.001)",
    "relearn_ep": "relearn_ep1(lr=0.001)",
    "relearn_split": "relearn_split2(lr=0.001)",
    "lora_relearn": "lora_relearn2",
    "finetune": "finetune2(lr=0.001)",
    "gptq": "gptq4(group_size=16,samples=4,length=32)",
}


def spec_of(family: str) -> str:
    return SHORT.get(family) or AttackSpec((ATTACKS[family](),)).name


def state(model: Any) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in [*model.named_parameters(), *model.named_buffers()]}


@pytest.mark.parametrize("tied", [False, True], ids=["untied", "tied"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
@pytest.mark.parametrize("family", list(ATTACKS))
def test_weights_come_back(tiny_lm: Any, family: str, dtype: Any, tied: bool) -> None:
    lm = tiny_lm(tied=tied, dtype=dtype)
    plan = Plan(parse(spec_of(family)), TOY)
    before, during = state(lm.model), {}
    session = AttackSession(lm)
    session._ask = lambda instances, bar: (
        during.update(state(lm.model)) or [None] * len(instances)
    )  # look instead of asking

    try:
        session.run([SimpleNamespace(rub=Tag(plan, "token_scores"), args=("", {}))])
    except MissingExtraError as error:
        pytest.skip(str(error))
    after = state(lm.model)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not lm.model.training
    assert all(p.grad is None and p.requires_grad for p in lm.model.parameters())
    if family != "none":
        assert any(not torch.equal(before[name], during[name]) for name in before), "the attack did something"
        assert plan.report["relative_weight_change"]["all"] > 0
