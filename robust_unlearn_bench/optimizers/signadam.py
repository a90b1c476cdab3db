"""Sign-based rules: 1-bit Adam as the paper defines it, Signum and SignSGD."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from torch import Tensor

from .checks import fraction, positive
from .grade import Facts
from .optimizer import OPTIMIZERS
from .rule import Backward, GradientRule, Parameters, Rule
from .update import TensorUpdate, moment

__all__ = ["SignAdam", "SignSGD", "mean_of_signs_", "sign_of_mean_"]


def sign_of_mean_(w: Tensor, m: Tensor, g: Tensor, *, lr: float, beta: float) -> None:
    """m ← β·m + (1 − β)·g;  w ← w − lr·sign(m), in place. Where m is 0, w is unchanged.

    Args:
        w: weights.
        m: moving average of the gradient.
        g: gradient.
        lr: size of the step of every coordinate.
        beta: decay rate of the moving average.
    """
    m.lerp_(g, 1 - beta)
    w.add_(m.sign(), alpha=-lr)


def mean_of_signs_(w: Tensor, m: Tensor, g: Tensor, *, lr: float, beta: float) -> None:
    """m ← β·m + (1 − β)·sign(g);  w ← w − lr·m, in place.

    Args:
        w: weights.
        m: moving average of the gradient's sign.
        g: gradient.
        lr: largest step of a coordinate.
        beta: decay rate of the moving average.
    """
    m.lerp_(g.sign(), 1 - beta)
    w.add_(m, alpha=-lr)


class _Signs(TensorUpdate):
    def __init__(self, parameters: Parameters, lr: float, beta: float, rule: Any) -> None:
        super().__init__(parameters.values(), lr)
        self.beta = beta
        self.rule = rule

    def update(self, w: Tensor, g: Tensor, state: dict[str, Any], lr: float) -> None:
        self.rule(w, moment(state, "m", w), g, lr=lr, beta=self.beta)


@OPTIMIZERS.register("signadam", grade="compressed")
@dataclass(frozen=True, slots=True)
class SignAdam:
    """1-bit Adam: Adam's update compressed to its sign.

    sign(m̂ / √v̂) = sign(m), so neither v nor a bias correction is needed, and the rule is Signum with β = β1.
    Not DeepSpeed's OnebitAdam, which compresses the communication between devices.

    Attributes:
        lr: size of the step of every coordinate.
        beta: decay rate β1 of the moving average m.
        variant: "sign_of_mean", or "wang2019" for the rule of Wang et al. 2019, which averages signs instead.

    Source: Lang et al., arXiv 2510.00761, eq. 3 with N = 1; Bernstein et al. 2018 (Signum),
        arXiv 1802.04434; Wang et al. 2019, "SignADAM".
    Departs: wang2019 has no second moment, because that of a sign is 1.
    """

    name: ClassVar[str] = "signadam"
    facts: ClassVar[Facts] = Facts(rule="w −= η·sign(m)", state_bytes=4)
    lr: float = 1e-5
    beta: float = 0.9
    variant: Literal["sign_of_mean", "wang2019"] = "sign_of_mean"

    def __post_init__(self) -> None:
        positive(self.name, lr=self.lr)
        fraction(self.name, beta=self.beta)

    def build(self, parameters: Parameters, *, clip: float | None, seed: int) -> Rule:
        """Build a rule that feeds backpropagated gradients to a sign update."""
        rule = sign_of_mean_ if self.variant == "sign_of_mean" else mean_of_signs_
        return GradientRule(parameters, Backward(), _Signs(parameters, self.lr, self.beta, rule), clip=clip)


class _SignOfGradient(TensorUpdate):
    def update(self, w: Tensor, g: Tensor, state: dict[str, Any], lr: float) -> None:
        w.add_(g.sign(), alpha=-lr)


@OPTIMIZERS.register("signsgd", grade="compressed")
@dataclass(frozen=True, slots=True)
class SignSGD:
    """w ← w − lr·sign(g).

    Attributes:
        lr: size of the step of every coordinate.

    Source: Bernstein et al. 2018, "signSGD", arXiv 1802.04434.
    Departs: none.
    """

    name: ClassVar[str] = "signsgd"
    facts: ClassVar[Facts] = Facts(rule="w −= η·sign(g)", state_bytes=0)
    lr: float = 1e-5

    def __post_init__(self) -> None:
        positive(self.name, lr=self.lr)

    def build(self, parameters: Parameters, *, clip: float | None, seed: int) -> Rule:
        """Build a rule that feeds backpropagated gradients to a sign update."""
        return GradientRule(parameters, Backward(), _SignOfGradient(parameters.values(), self.lr), clip=clip)
