"""R-AdaZO, the paper's zeroth-order rule: Adam on estimates from losses alone, with a refined second moment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from torch import Tensor

from ..models.shards import refuse_shards
from .checks import fraction, positive
from .directions import Kind, check_kind
from .grade import TWO_LOSSES, Facts
from .optimizer import OPTIMIZERS
from .rule import GradientRule, Parameters, Rule
from .update import TensorUpdate, moment
from .zeroth_order import ZerothOrder

__all__ = ["AdaZO", "AdaZOUpdate", "ada_zo_"]


def ada_zo_(
    w: Tensor,
    m: Tensor,
    v: Tensor,
    g: Tensor,
    *,
    lr: float,
    beta1: float,
    beta2: float,
    zeta: float,
    zeta_outside: bool = False,
    bias_correction: int | None = None,
) -> None:
    """m ← β1·m + (1 − β1)·g;  v ← β2·v + (1 − β2)·m²;  w ← w − lr·m/√(v + ζ), in place.

    v averages m² rather than g², because the variance of a single-direction estimate would dominate g². Without bias
    correction and under a constant gradient, the first step is lr/√(1 − β2) per coordinate (31.6·lr), the twentieth
    still 5.8·lr, and later ones tend to lr.

    Args:
        w: weights.
        m: moving average of g.
        v: moving average of m²; if it has a single entry, of the mean of m² over the tensor.
        g: estimate of the gradient.
        lr: learning rate.
        beta1: decay rate of the first moment m.
        beta2: decay rate of the second moment v.
        zeta: constant ζ that keeps the divisor above 0.
        zeta_outside: divide by √v + ζ instead of √(v + ζ).
        bias_correction: number t of the step, from 1, for dividing m by 1 − β1^t and v by 1 − β2^t; None to skip it.
    """
    m.lerp_(g, 1 - beta1)
    if v.shape == m.shape:
        v.mul_(beta2).addcmul_(m, m, value=1 - beta2)
    else:
        v.lerp_(m.square().mean().reshape(v.shape), 1 - beta2)
    t = bias_correction
    divisor = v.clone() if t is None else v / (1 - beta2**t)  # the one tensor besides the states
    divisor = divisor.sqrt_().add_(zeta) if zeta_outside else divisor.add_(zeta).sqrt_()
    w.addcdiv_(m, divisor, value=-lr if t is None else -lr / (1 - beta1**t))


class AdaZOUpdate(TensorUpdate):
    """Torch optimizer that holds the state of `ada_zo_`, in fp32."""

    def __init__(self, parameters: Parameters, lr: float, config: AdaZO) -> None:
        super().__init__(parameters.values(), lr)
        self.config = config

    def update(self, w: Tensor, g: Tensor, state: dict[str, Any], lr: float) -> None:
        """Apply `ada_zo_` to one tensor."""
        c = self.config
        state["t"] = t = state.get("t", 0) + 1
        v = moment(state, "v", w if c.v == "elementwise" else w.new_zeros(1))
        ada_zo_(
            w,
            moment(state, "m", w),
            v,
            g,
            lr=lr,
            beta1=c.beta1,
            beta2=c.beta2,
            zeta=c.zeta,
            zeta_outside=c.zeta_outside,
            bias_correction=t if c.bias_correction else None,
        )


@OPTIMIZERS.register("ada_zo", grade="zeroth")
@dataclass(frozen=True, slots=True)
class AdaZO:
    """R-AdaZO with two-sided differences ("AdaZO" in the paper; not ZO-AdaMM, where v averages g²).

    Attributes:
        lr: learning rate.
        eps: step ε of the finite difference, about the distance that each weight moves.
        queries: directions per step.
        direction: "sphere" (radius √d), "gaussian" or "rademacher".
        beta1: decay rate of the first moment m.
        beta2: decay rate of the second moment v.
        zeta: constant ζ added to v inside the root.
        zeta_outside: add ζ outside the root, to √v, instead.
        bias_correction: correct m and v for their start at zero.
        v: "elementwise", or "scalar" for one second moment per tensor.
        store: keep each direction in memory while it is used, which costs 4 bytes per weight and saves two draws.

    Source: Shu et al. 2025, "Refining adaptive zeroth-order optimization at ease", arXiv 2502.01014, algorithm 1.
    Departs: all tensors are perturbed at once, whereas the authors' code perturbs one after another; differences are
        two-sided; directions are on a sphere by default; weights are restored from a copy.
    """

    name: ClassVar[str] = "ada_zo"
    facts: ClassVar[Facts] = Facts(
        rule="w −= η·m / √(v + ζ), v of m²", state_bytes=8, extra_bytes=4, gradient=False, cost=TWO_LOSSES
    )
    lr: float = 1e-5
    eps: float = 1e-3
    queries: int = 1
    direction: Kind = "sphere"
    beta1: float = 0.9
    beta2: float = 0.999
    zeta: float = 1e-8
    zeta_outside: bool = False
    bias_correction: bool = False
    v: Literal["elementwise", "scalar"] = "elementwise"
    store: bool = False

    def __post_init__(self) -> None:
        positive(self.name, lr=self.lr, eps=self.eps, queries=self.queries, zeta=self.zeta)
        fraction(self.name, beta1=self.beta1, beta2=self.beta2)
        check_kind(self.name, self.direction)

    def build(self, parameters: Parameters, *, clip: float | None, seed: int) -> Rule:
        """Build a rule that feeds zeroth-order estimates to R-AdaZO."""
        if self.v == "scalar":
            refuse_shards("optimizer ada_zo with v=scalar", parameters)
        estimate = ZerothOrder(self.eps, self.queries, self.direction, seed, self.store)
        return GradientRule(parameters, estimate, AdaZOUpdate(parameters, self.lr, self), clip=clip)
