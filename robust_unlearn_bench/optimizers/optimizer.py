"""Optimizers by name, each a frozen dataclass of hyper-parameters that builds its update rule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, cast

from ..configure import configured
from ..registry import Registry
from .grade import GRADES, Facts, Grade

if TYPE_CHECKING:
    from .rule import Parameters, Rule

__all__ = ["OPTIMIZERS", "OptimizerConfig", "by_grade", "configure", "grade_of"]


class OptimizerConfig(Protocol):
    """Hyper-parameters of one optimizer: a frozen dataclass.

    Attributes:
        name: registry name.
        facts: update rule, memory and cost.
    """

    name: ClassVar[str]
    facts: ClassVar[Facts]

    def build(self, parameters: Parameters, *, clip: float | None, seed: int) -> Rule:
        """Build the update rule.

        Args:
            parameters: trained parameters by name.
            clip: largest gradient norm, or None for no clipping.
            seed: seed of every random direction that the rule draws.
        """
        ...


OPTIMIZERS: Registry[type[OptimizerConfig]] = Registry(
    "optimizer", "optimizers", "robust_unlearn_bench.optimizers", requires=("name", "facts", "build")
)
"""Optimizer name → hyper-parameter class; the decorator declares the `grade`."""


def configure(name: str, values: Mapping[str, Any]) -> OptimizerConfig:
    """Build the optimizer of that name with these hyper-parameters.

    Raises:
        UnknownNameError: there is no such optimizer or hyper-parameter.
        ConfigError: a value has the wrong type or is out of range.
    """
    return configured(OPTIMIZERS, name, values)


def grade_of(name: str) -> Grade:
    """Return the grade of a registered optimizer ("other" if undeclared), without importing built-in optimizers.

    Raises:
        UnknownNameError: there is no such optimizer.
    """
    grade = OPTIMIZERS.facts(name).get("grade", "other")
    return cast(Grade, grade if grade in GRADES else "other")


def by_grade() -> list[str]:
    """Return the names of all optimizers, from the most to the least information about the loss."""
    order = [*GRADES]
    return sorted(OPTIMIZERS, key=lambda name: (order.index(grade_of(name)), name))
