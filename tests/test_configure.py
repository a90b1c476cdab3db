"""User-written mappings become frozen dataclasses, or one sentence."""

from __future__ import annotations

import pytest

from robust_unlearn_bench.errors import ConfigError, UnknownNameError
from robust_unlearn_bench.objectives import OBJECTIVES
from robust_unlearn_bench.optimizers import configure


def test_values_arrive() -> None:
    optimizer = configure("hybrid", {"lr_fo": 1, "n_fo": 5, "direction": "gaussian"})
    assert (optimizer.lr_fo, optimizer.n_fo, optimizer.direction) == (1.0, 5, "gaussian")


@pytest.mark.parametrize(
    ("name", "values", "kind", "message"),
    [
        ("adams", {}, UnknownNameError, "unknown optimizer 'adams': did you mean 'adam'"),
        ("adam", {"learning_rate": 1.0}, UnknownNameError, "unknown key of optimizer adam 'learning_rate'"),
        ("adam", {"lr": "fast"}, ConfigError, "optimizer adam has lr='fast': input should be a valid number"),
        ("adam", {"lr": True}, ConfigError, "optimizer adam has lr=True"),
        ("hybrid", {"n_fo": 2.5}, ConfigError, r"n_fo=2\.5"),
        ("hybrid", {"direction": "cube"}, ConfigError, "direction='cube'.*'sphere'"),
        ("adam", {"lr": 0}, ConfigError, "optimizer adam has lr=0.*: give a number above 0"),
    ],
)
def test_one_sentence(name: str, values: dict[str, object], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        configure(name, values)


def test_every_objective_and_optimizer_has_usable_defaults() -> None:
    from robust_unlearn_bench.objectives import RETAIN_LOSSES
    from robust_unlearn_bench.optimizers import OPTIMIZERS

    for registry in (OBJECTIVES, RETAIN_LOSSES, OPTIMIZERS):
        for name in registry:
            assert registry[name]().name == name
