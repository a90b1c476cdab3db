"""The same factors as the schedulers that peers train with."""

from __future__ import annotations

import math

import pytest
import torch
from transformers import get_scheduler

from robust_unlearn_bench.errors import ConfigError
from robust_unlearn_bench.training.schedule import factor


@pytest.mark.parametrize("schedule", ["constant", "cosine", "linear"])
@pytest.mark.parametrize("warmup", [0.0, 0.1])
def test_matches_transformers(schedule: str, warmup: float) -> None:
    steps = 30
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    name = "constant_with_warmup" if schedule == "constant" else schedule
    theirs = get_scheduler(name, optimizer, num_warmup_steps=math.ceil(steps * warmup), num_training_steps=steps)
    for step in range(steps):
        assert factor(step, steps, schedule, warmup) == pytest.approx(optimizer.param_groups[0]["lr"], abs=1e-12)
        optimizer.step()
        theirs.step()


def test_cosine_by_hand() -> None:
    assert [factor(t, 4, "cosine") for t in range(4)] == pytest.approx([1, 0.5 + 2**0.5 / 4, 0.5, 0.5 - 2**0.5 / 4])


def test_warmup_out_of_range() -> None:
    with pytest.raises(ConfigError, match="warmup is 1"):
        factor(0, 10, "cosine", 1)
