"""Sophia-G: momentum clipped by a diagonal Gauss-Newton estimate of the curvature."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from ..models.shards import local
from ..seeding import seed_of
from .checks import fraction, positive
from .grade import Cost, Facts
from .optimizer import OPTIMIZERS
from .rule import Backward, Closures, GradientRule, Parameters, Rule
from .update import TensorUpdate, moment

__all__ = ["Sophia", "curvature_", "sophia_"]


def curvature_(h: Tensor, g: Tensor, *, labels: int, beta: float) -> None:
    """h ← β·h + (1 − β)·B·ĝ², in place: the Gauss-Newton-Bartlett estimate of the Hessian's diagonal.

    Args:
        h: estimate of the Hessian's diagonal.
        g: gradient ĝ of the mean cross-entropy on labels drawn from the model itself.
        labels: number B of these labels.
        beta: decay rate of the moving average.
    """
    h.mul_(beta).addcmul_(g, g, value=(1 - beta) * labels)


def sophia_(w: Tensor, m: Tensor, h: Tensor, g: Tensor, *, lr: float, beta: float, rho: float, eps: float) -> None:
    """m ← β·m + (1 − β)·g;  w ← w − lr·clip(m / max(ρ·h, ε), 1), in place.

    Args:
        w: weights.
        m: moving average of the gradient.
        h: estimate of the Hessian's diagonal.
        g: gradient.
        lr: largest step of a coordinate.
        beta: decay rate of the moving average m.
        rho: ρ; the larger, the fewer coordinates are clipped.
        eps: smallest divisor.
    """
    m.lerp_(g, 1 - beta)
    w.add_((m / (rho * h).clamp_(min=eps)).clamp_(-1, 1), alpha=-lr)


class _SophiaUpdate(TensorUpdate):
    def __init__(self, parameters: Parameters, config: Sophia) -> None:
        super().__init__(parameters.values(), config.lr)
        self.config = config

    def update(self, w: Tensor, g: Tensor, state: dict[str, Any], lr: float) -> None:
        c = self.config
        m, h = moment(state, "m", w), moment(state, "h", w)
        sophia_(w, m, h, g, lr=lr, beta=c.beta1, rho=c.rho, eps=c.eps)

    @torch.no_grad()
    def look(self, labels: int) -> None:
        """Update the curvature with the gradients on sampled labels."""
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    curvature_(
                        moment(self.state[p], "h", local(p)),
                        local(p.grad).float(),
                        labels=labels,
                        beta=self.config.beta2,
                    )


class _WithCurvature(Backward):
    """First-order estimate that updates the curvature first, every k steps."""

    def __init__(self, update: _SophiaUpdate, every: int, seed: int) -> None:
        self.update = update
        self.every = every
        self.seed = seed

    def __call__(self, closures: Closures, parameters: Parameters, step: int) -> Tensor:
        if step % self.every == 0:
            for p in parameters.values():
                p.grad = None
            _, labels = closures.sampled(backward=True, seed=seed_of("labels", self.seed, step))
            self.update.look(labels)
        return super().__call__(closures, parameters, step)


@OPTIMIZERS.register("sophia", grade="second")
@dataclass(frozen=True, slots=True)
class Sophia:
    """Sophia-G, without weight decay.

    Attributes:
        lr: largest step of a coordinate.
        beta1: decay rate of the gradient's moving average.
        beta2: decay rate of the curvature's moving average.
        rho: scale ρ of the curvature; the larger, the fewer coordinates are clipped.
        every: number k of steps between curvature updates (each costs one more forward and backward pass).
        eps: smallest divisor.

    Source: Liu et al. 2023, "Sophia", arXiv 2305.14342, algorithm 3 with the estimator of algorithm 2.
    Departs: B counts the scored tokens of both batches; no weight decay.
    """

    name: ClassVar[str] = "sophia"
    facts: ClassVar[Facts] = Facts(rule="w −= η·clip(m / max(ρ·h, ε), 1)", state_bytes=8, cost=Cost(1.1, 1.1, 1.1, 1.1))
    lr: float = 1e-5
    beta1: float = 0.965
    beta2: float = 0.99
    rho: float = 0.04
    every: int = 10
    eps: float = 1e-12

    def __post_init__(self) -> None:
        positive(self.name, lr=self.lr, rho=self.rho, every=self.every, eps=self.eps)
        fraction(self.name, beta1=self.beta1, beta2=self.beta2)

    def build(self, parameters: Parameters, *, clip: float | None, seed: int) -> Rule:
        """Build a rule that feeds backpropagated gradients to Sophia, and sampled-label gradients every k steps."""
        update = _SophiaUpdate(parameters, self)
        return GradientRule(parameters, _WithCurvature(update, self.every, seed), update, clip=clip)
