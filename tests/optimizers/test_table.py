"""The grade table tells the truth: passes and bytes are measured, not believed."""

from __future__ import annotations

import dataclasses
from importlib.util import find_spec
from typing import Any

import pytest
import torch

from robust_unlearn_bench.leaderboard.record.grades import grade_of
from robust_unlearn_bench.optimizers import GRADES, OPTIMIZERS, configure

HERE = {"pytorch-optimizer": "pytorch_optimizer", "": "torch"}


def available(name: str) -> bool:
    return find_spec(HERE[OPTIMIZERS[name].facts.extra]) is not None and (
        name != "muon" or hasattr(torch.optim, "Muon")
    )


def test_every_optimizer_has_a_grade_that_the_board_reads_too() -> None:
    grades = {name: grade_of(name) for name in OPTIMIZERS}
    assert set(grades.values()) == set(GRADES) - {"other"}
    assert {name: OPTIMIZERS.facts(name)["grade"] for name in OPTIMIZERS} == grades


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_passes_of_ten_cycles(quadratic: Any, name: str) -> None:
    if not available(name):
        pytest.skip(f"needs the extra {OPTIMIZERS[name].facts.extra}")
    losses = quadratic()
    counts = dict.fromkeys(("forget_forwards", "forget_backwards", "retain_forwards", "retain_backwards"), 0.0)

    def counting(side: str, loss: Any) -> Any:
        def call(backward: bool) -> float:
            counts[f"{side}_forwards"] += 1
            counts[f"{side}_backwards"] += backward
            return float(loss(backward))

        return call

    losses.forget, losses.retain = counting("forget", losses.forget), counting("retain", losses.retain)
    losses.relearn = counting("forget", losses.relearn)
    sampled = losses.sampled

    def both(backward: bool, seed: int) -> Any:
        for key in counts:
            counts[key] += 1
        return sampled(backward, seed)

    losses.sampled = both
    rule = configure(name, {"n_fo": 10, "n_zo": 10} if name == "hybrid" else {}).build(
        losses.parameters, clip=1.0, seed=0
    )
    for _ in range(20):
        rule.step(losses)
    assert {key: value / 20 for key, value in counts.items()} == pytest.approx(
        dataclasses.asdict(OPTIMIZERS[name].facts.cost)
    )


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_state_bytes_per_parameter(name: str) -> None:
    row = OPTIMIZERS[name].facts
    if row.state_bytes is None:
        pytest.skip(f"the states of {name} depend on the shapes, and the table names no number")
    if not available(name):
        pytest.skip(f"needs the extra {row.extra}")
    p = torch.nn.Parameter(torch.randn(256, 256, generator=torch.Generator().manual_seed(0)))

    class Loss:
        def forget(self, backward: bool) -> float:
            loss = p.square().sum()
            if backward:
                loss.backward()
            return float(loss.detach())

        def retain(self, backward: bool) -> float:
            return 0.0

        def relearn(self, backward: bool) -> float:
            return self.forget(backward)

        def sampled(self, backward: bool, seed: int) -> tuple[float, int]:
            return self.forget(backward), 4

    rule: Any = configure(name, {"n_fo": 1, "n_zo": 1} if name == "hybrid" else {}).build(
        {"layers.0.weight": p}, clip=None, seed=0
    )
    for _ in range(2):
        rule.step(Loss())
    held = [s for u in rule.updates for s in u.state[p].values()] + list(
        getattr(rule, "estimate", rule).__dict__.get("h", {}).values()
    )
    size = sum(t.numel() * t.element_size() for t in held if isinstance(t, torch.Tensor))
    assert size / p.numel() == pytest.approx(row.state_bytes, rel=0.05, abs=0.01)


def test_importing_the_table_does_not_import_torch() -> None:
    import subprocess
    import sys

    code = "import sys, robust_unlearn_bench.optimizers; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
