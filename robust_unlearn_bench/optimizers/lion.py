"""Lion: the sign of an interpolated momentum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from .checks import fraction, positive
from .grade import Facts
from .optimizer import OPTIMIZERS
from .rule import Backward, GradientRule, Parameters, Rule
from .update import TensorUpdate, moment

__all__ = ["Lion", "lion_"]


def lion_(w: Tensor, m: Tensor, g: Tensor, *, lr: float, beta1: float, beta2: float) -> None:
    """w ← w − lr·sign(β1·m + (1 − β1)·g), then m ← β2·m + (1 − β2)·g, in place.

    Args:
        w: weights.
        m: momentum.
        g: gradient.
        lr: size of the step of every coordinate.
        beta1: weight of m in the interpolation that gives the step.
        beta2: decay rate of the momentum m.
    """
    w.add_(m.lerp(g, 1 - beta1).sign_(), alpha=-lr)
    m.lerp_(g, 1 - beta2)


class _Lion(TensorUpdate):
    def __init__(self, parameters: Parameters, lr: float, betas: tuple[float, float]) -> None:
        super().__init__(parameters.values(), lr)
        self.betas = betas

    def update(self, w: Tensor, g: Tensor, state: dict[str, Any], lr: float) -> None:
        lion_(w, moment(state, "m", w), g, lr=lr, beta1=self.betas[0], beta2=self.betas[1])


@OPTIMIZERS.register("lion", grade="compressed")
@dataclass(frozen=True, slots=True)
class Lion:
    """Lion, without weight decay.

    Attributes:
        lr: size of the step of every coordinate.
        beta1: weight of m in the interpolation that gives the step.
        beta2: decay rate of the momentum m.

    Source: Chen et al. 2023, "Symbolic discovery of optimization algorithms", arXiv 2302.06675, algorithm 2.
    Departs: no weight decay.
    """

    name: ClassVar[str] = "lion"
    facts: ClassVar[Facts] = Facts(rule="w −= η·sign(β1·m + (1 − β1)·g)", state_bytes=4)
    lr: float = 1e-5
    beta1: float = 0.9
    beta2: float = 0.99

    def __post_init__(self) -> None:
        positive(self.name, lr=self.lr)
        fraction(self.name, beta1=self.beta1, beta2=self.beta2)

    def build(self, parameters: Parameters, *, clip: float | None, seed: int) -> Rule:
        """Build a rule that feeds backpropagated gradients to Lion."""
        update = _Lion(parameters, self.lr, (self.beta1, self.beta2))
        return GradientRule(parameters, Backward(), update, clip=clip)
