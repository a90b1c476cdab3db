"""Adam with an update that is quantised to 8 bits before it is applied."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from ..errors import ConfigError
from ..models.shards import refuse_shards
from .checks import fraction, positive
from .grade import Facts
from .optimizer import OPTIMIZERS
from .rule import Backward, GradientRule, Parameters, Rule
from .update import TensorUpdate, moment

__all__ = ["AdamQ8Update", "quantised"]


def quantised(u: Tensor, bits: int) -> Tensor:
    """Round to the nearest of 2^bits − 1 evenly spaced values from −max|u| to max|u|, which include zero.

    Args:
        u: update of any shape.
        bits: number of bits, from 2 to 8.

    Returns:
        Rounded update of the same shape.
    """
    levels = 2 ** (bits - 1) - 1
    scale = u.abs().amax() / levels
    return u if scale == 0 else (u / scale).round_().mul_(scale)


class _QuantisedAdam(TensorUpdate):
    def __init__(self, parameters: Parameters, config: AdamQ8Update) -> None:
        super().__init__(parameters.values(), config.lr)
        self.config = config

    def update(self, w: Tensor, g: Tensor, state: dict[str, Any], lr: float) -> None:
        c = self.config
        m, v = moment(state, "m", w), moment(state, "v", w)
        state["t"] = t = state.get("t", 0) + 1
        m.lerp_(g, 1 - c.beta1)
        v.mul_(c.beta2).addcmul_(g, g, value=1 - c.beta2)
        step = (m / (1 - c.beta1**t)) / (v.sqrt() / math.sqrt(1 - c.beta2**t) + c.eps)
        w.add_(quantised(step, c.bits), alpha=-lr)


@OPTIMIZERS.register("adam_q8update", grade="compressed")
@dataclass(frozen=True, slots=True)
class AdamQ8Update:
    """w ← w − lr·Q8(m̂ / (√v̂ + eps)), with one grid of Q8 per tensor.

    Attributes:
        lr: learning rate.
        beta1: decay rate of the first moment m.
        beta2: decay rate of the second moment v.
        eps: constant added to √v̂.
        bits: number N of bits of the quantised update.

    Source: Lang et al., arXiv 2510.00761, eq. 3 read literally with N = 8. The usual 8-bit Adam, which is also
        the one that the paper cites, has 8-bit states instead: `adam8bit`.
    Departs: the paper does not give the quantiser's grid; here it is symmetric and uniform, with one scale per tensor.
    """

    name: ClassVar[str] = "adam_q8update"
    facts: ClassVar[Facts] = Facts(rule="w −= η·Q8(m̂ / (√v̂ + ε))", state_bytes=8)
    lr: float = 1e-5
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    bits: int = 8

    def __post_init__(self) -> None:
        positive(self.name, lr=self.lr, eps=self.eps)
        fraction(self.name, beta1=self.beta1, beta2=self.beta2)
        if not 2 <= self.bits <= 8:
            raise ConfigError(f"optimizer {self.name} has bits={self.bits}: give 2 to 8 (1 bit is signadam)")

    def build(self, parameters: Parameters, *, clip: float | None, seed: int) -> Rule:
        """Build a rule that feeds backpropagated gradients to Adam with quantised updates."""
        refuse_shards("optimizer adam_q8update", parameters)
        return GradientRule(parameters, Backward(), _QuantisedAdam(parameters, self), clip=clip)
