"""Optimizers by name: a frozen dataclass of hyper-parameters that builds its rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from ..configure import configured
from ..registry import Registry

if TYPE_CHECKING:
    from .rule import Parameters, Rule

__all__ = ["OPTIMIZERS", "OptimizerConfig", "configure"]


class OptimizerConfig(Protocol):
    """Hyper-parameters of one optimizer: a frozen dataclass."""

    name: ClassVar[str]

    def build(self, parameters: Parameters, *, clip: float | None, seed: int) -> Rule:
        """Make the rule.

        Args:
            parameters: what is trained, by name.
            clip: largest gradient norm, or None.
            seed: of every random direction that the rule draws.
        """
        ...


_HERE = "robust_unlearn_bench.optimizers"

OPTIMIZERS: Registry[Callable[..., OptimizerConfig]] = Registry(
    "optimizer",
    lazy={
        "sophia": f"{_HERE}.sophia:Sophia",
        "soap": f"{_HERE}.preconditioned:SOAP",
        "shampoo": f"{_HERE}.preconditioned:Shampoo",
        "muon": f"{_HERE}.muon:Muon",
        "sgd": f"{_HERE}.adam:SGD",
        "adam": f"{_HERE}.adam:Adam",
        "adam8bit": f"{_HERE}.adam8bit:Adam8bit",
        "adam_q8update": f"{_HERE}.adam_q8update:AdamQ8Update",
        "signadam": f"{_HERE}.signadam:SignAdam",
        "signsgd": f"{_HERE}.signadam:SignSGD",
        "lion": f"{_HERE}.lion:Lion",
        "sam": f"{_HERE}.smoothed:SAM",
        "rs": f"{_HERE}.smoothed:RS",
        "tar": f"{_HERE}.smoothed:TAR",
        "zo_sgd": f"{_HERE}.zeroth_order:ZOSGD",
        "ada_zo": f"{_HERE}.ada_zo:AdaZO",
        "hizoo": f"{_HERE}.hizoo:HiZOO",
        "hybrid": f"{_HERE}.hybrid:Hybrid",
    },
)
"""Optimizer name → hyper-parameter class."""


def configure(name: str, values: Mapping[str, Any]) -> OptimizerConfig:
    """The optimizer of that name with these hyper-parameters.

    Raises:
        UnknownNameError: there is no such optimizer or hyper-parameter.
        ConfigError: a value has the wrong type or is out of range.
    """
    return configured(OPTIMIZERS, name, values)
