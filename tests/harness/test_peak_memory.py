"""The peak of an attack is its own, not that of the process so far."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import torch

from robust_unlearn_bench.attacks import ATTACKS, AttackDefaults, AttackSpec
from robust_unlearn_bench.harness import peak_memory
from robust_unlearn_bench.harness.peak_memory import PeakMemory
from robust_unlearn_bench.harness.plan import Plan
from robust_unlearn_bench.harness.session import AttackSession, Tag

MB = 1_000_000
linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux measures the peak of a process anew")


def use(megabytes: int) -> None:
    """Touch so much memory and let it go."""
    torch.ones(megabytes * MB // 4)


@linux
def test_what_was_freed_before_does_not_count_and_what_is_freed_within_does() -> None:
    model = torch.nn.Linear(2, 2)
    use(400)
    memory = PeakMemory(model)
    before = memory.read()
    use(200)
    after = memory.read()
    assert before is not None
    assert after is not None
    assert 150 * MB < after - before < 350 * MB


@linux
def test_what_happens_while_it_is_interrupted_does_not_count() -> None:
    memory = PeakMemory(torch.nn.Linear(2, 2))
    use(100)
    peak = memory.read()
    use(300)
    memory.resume()
    assert peak is not None
    assert memory.read() == pytest.approx(peak, abs=20 * MB)


def test_a_system_that_cannot_tell_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peak_memory, "_PROCESS", tmp_path / "absent")
    assert PeakMemory(torch.nn.Linear(2, 2)).read() is None


@ATTACKS.register("greedy")
@dataclass(frozen=True, slots=True)
class Greedy(AttackDefaults):
    """Uses memory and leaves the weights alone."""

    name: ClassVar[str] = "greedy"

    megabytes: int = 0

    def apply(self, model: Any, context: Any) -> dict[str, Any]:
        use(self.megabytes)
        return {}


class NamedPlan(Plan):
    """Attacks of this file are not registered, so they are named by their spec."""

    @property
    def name(self) -> str:
        return str(self.spec.steps[0])

    @property
    def key(self) -> tuple[str, ...]:
        return (self.name,)


@linux
def test_a_light_attack_after_a_heavy_one_has_the_smaller_peak(tiny_lm: Any) -> None:
    plans = [NamedPlan(AttackSpec((Greedy(megabytes),)), None) for megabytes in (500, 1)]
    requests = [SimpleNamespace(rub=Tag(plan, "token_scores"), args=("the old", {"text": " baker"})) for plan in plans]
    AttackSession(tiny_lm()).run(requests)
    heavy, light = (plan.report["peak_memory_bytes"] for plan in plans)
    assert heavy - light > 300 * MB


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_on_cuda_it_is_the_allocator_s_peak() -> None:
    model = torch.nn.Linear(2, 2).cuda()
    torch.ones(100 * MB, device="cuda")
    memory = PeakMemory(model)
    before = memory.read()
    torch.ones(25 * MB, device="cuda")
    after = memory.read()
    assert before is not None
    assert before < 50 * MB
    assert after is not None
    assert after >= 100 * MB
