from __future__ import annotations

import random
from typing import Any

from robust_unlearn_bench.attacks import parse
from robust_unlearn_bench.search.space import Space
from robust_unlearn_bench.suites import SUITES


class Draw:
    """Random choices with the interface of an Optuna trial, which notes the bounds that it was given."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.bounds: dict[str, tuple[float, float]] = {}

    def suggest_float(self, name: str, low: float, high: float, *, log: bool) -> float:
        assert log
        self.bounds[name] = low, high
        return low * (high / low) ** self.rng.random()

    def suggest_int(self, name: str, low: int, high: int, *, log: bool) -> int:
        self.bounds[name] = low, high
        return self.rng.randint(low, high)

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        return self.rng.choice(choices)


def test_every_proposal_is_an_attack_within_the_bounds() -> None:
    space, seen = Space(), set()
    for seed in range(300):
        spec = parse(space.suggest(Draw(seed)))
        seen |= {(place, step.name) for place, step in enumerate(spec.steps)}
        for step in spec.steps:
            if step.trains:
                assert 1e-6 <= step.lr <= 1e-3
                assert 16 <= step.k <= 512
            if step.name == "lora_const":
                assert 8 <= step.rank <= 64
                assert step.alpha == 2 * step.rank
    names = {name for _, name in seen}
    assert names - {"none"} == {*space.training, *space.before, *space.after} - {"none"}


def test_rates_reach_fifty_times_the_suites_own() -> None:
    assert Space.of(SUITES["nano_books"]).lr == (1e-6, 5e-3)
    assert Space.of(SUITES["muse_books"]).lr == (1e-6, 1e-3)
    draw = Draw(0)
    while "lr" not in draw.bounds:
        Space.of(SUITES["nano_wmdp"]).suggest(draw)
    assert draw.bounds["lr"] == (1e-6, 5e-3)
    assert draw.bounds["steps"] == (16, 512)


def test_a_proposal_means_the_same_whatever_the_suites_defaults() -> None:
    """`relearn_const50(lr=1e-05)` prints without its rate, which is the class's default, and would get the suite's."""
    defaults = SUITES["nano_books"].attack_defaults
    spec = parse("relearn_const(k=50,lr=1e-05)+gptq(bits=3)", defaults)
    assert parse(spec.in_full, defaults) == spec == parse(spec.in_full)
    assert parse(spec.name, defaults) != spec
