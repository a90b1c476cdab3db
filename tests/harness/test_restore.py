"""After every registered attack the weights are what they were, bit for bit."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from robust_unlearn_bench.attacks import ATTACKS
from robust_unlearn_bench.registry import BUILT_IN


@pytest.mark.parametrize("tied", [False, True], ids=["untied", "tied"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
@pytest.mark.parametrize("family", [name for name in ATTACKS if ATTACKS.origin(name) == BUILT_IN])
def test_weights_come_back(tiny_lm: Any, state: Any, attacked: Any, family: str, dtype: Any, tied: bool) -> None:
    lm = tiny_lm(tied=tied, dtype=dtype)
    before = state(lm.model)
    during, plan = attacked(lm, family)
    after = state(lm.model)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not lm.model.training
    assert all(p.grad is None and p.requires_grad for p in lm.model.parameters())
    if family != "none":
        assert any(not torch.equal(before[name], during[name]) for name in before), "the attack did something"
        assert plan.report["relative_weight_change"]["all"] > 0
