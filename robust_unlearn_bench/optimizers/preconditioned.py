"""SOAP and Shampoo, from pytorch-optimizer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from ..errors import MissingExtraError
from ..models.shards import refuse_shards
from .checks import positive
from .grade import Facts
from .optimizer import OPTIMIZERS
from .rule import Backward, GradientRule, Parameters, Rule

__all__ = ["SOAP", "Shampoo"]


def _library(optimizer: str) -> Any:
    try:
        import pytorch_optimizer
    except ImportError as error:
        raise MissingExtraError("pytorch_optimizer", "pytorch-optimizer", f"optimizer {optimizer}") from error
    return pytorch_optimizer


@OPTIMIZERS.register("soap", grade="second")
@dataclass(frozen=True, slots=True)
class SOAP:
    """Adam in the eigenbasis of Shampoo's preconditioner.

    Attributes:
        lr: learning rate.
        frequency: number of steps between updates of the eigenbasis.

    Source: Vyas et al. 2024, "SOAP", arXiv 2409.11321; pytorch_optimizer.SOAP.
    Departs: no weight decay.
    """

    name: ClassVar[str] = "soap"
    facts: ClassVar[Facts] = Facts(rule="Adam in Shampoo's eigenbasis", state_bytes=None, extra="pytorch-optimizer")
    lr: float = 3e-3
    frequency: int = 10

    def __post_init__(self) -> None:
        positive(self.name, lr=self.lr, frequency=self.frequency)

    def build(self, parameters: Parameters, *, clip: float | None, seed: int) -> Rule:
        """Build a rule that feeds backpropagated gradients to SOAP."""
        refuse_shards("optimizer soap", parameters)
        update = _library(self.name).SOAP(
            parameters.values(), lr=self.lr, precondition_frequency=self.frequency, weight_decay=0.0
        )
        return GradientRule(parameters, Backward(), update, clip=clip)


@OPTIMIZERS.register("shampoo", grade="second")
@dataclass(frozen=True, slots=True)
class Shampoo:
    """Shampoo: preconditioning with inverse roots of Kronecker factors.

    Attributes:
        lr: learning rate.
        frequency: number of steps between updates of the roots.

    Source: Gupta et al. 2018, "Shampoo", arXiv 1802.09568; pytorch_optimizer.ScalableShampoo (Anil et al. 2020,
        arXiv 2002.09018).
    Departs: no weight decay.
    """

    name: ClassVar[str] = "shampoo"
    facts: ClassVar[Facts] = Facts(rule="w −= η·L^-¼·g·R^-¼", state_bytes=None, extra="pytorch-optimizer")
    lr: float = 3e-3
    frequency: int = 10

    def __post_init__(self) -> None:
        positive(self.name, lr=self.lr, frequency=self.frequency)

    def build(self, parameters: Parameters, *, clip: float | None, seed: int) -> Rule:
        """Build a rule that feeds backpropagated gradients to Shampoo."""
        refuse_shards("optimizer shampoo", parameters)
        update = _library(self.name).ScalableShampoo(
            parameters.values(), lr=self.lr, preconditioning_compute_steps=self.frequency, weight_decay=0.0
        )
        return GradientRule(parameters, Backward(), update, clip=clip)
