"""The zeroth-order estimate: a gradient from losses alone, and plain descent along it."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ..models.shards import local
from .checks import positive
from .directions import Direction, Kind, check_kind
from .grade import TWO_LOSSES, Facts
from .optimizer import OPTIMIZERS
from .perturbation import mirrored_, moved_
from .rule import Closures, GradientRule, Parameters, Rule

__all__ = ["ZOSGD", "ZerothOrder", "loss_of", "warn_if_rounded_away"]


def loss_of(closures: Closures) -> float:
    """Return the sum of forget and retain loss at the current weights, without a gradient."""
    return closures.forget(backward=False) + closures.retain(backward=False)


class ZerothOrder:
    """g = mean over q directions of c·z, c = (f(w + εz) − f(w − εz)) / 2ε, f = forget + retain loss.

    All weights are perturbed at once. `.grad` holds a copy of the weights while they are perturbed and the estimate
    afterwards; besides the weights, that is all the memory needed (twice that with `store`).

    Args:
        eps: step ε of the finite difference, about the distance that each weight moves.
        queries: number q of directions.
        direction: kind of direction.
        seed: seed of the directions.
        store: keep each direction in memory; see `Direction`.

    Source: Spall 1992 (two-sided difference); Malladi et al. 2023, "MeZO", arXiv 2305.17333, for perturbing all weights
        at once and for redrawing directions from seeds.
    Departs: weights are restored from a copy; see `perturbation.restored`.
    """

    def __init__(self, eps: float, queries: int, direction: Kind, seed: int, store: bool) -> None:
        self.eps = eps
        self.queries = queries
        self.direction: Kind = direction
        self.seed = seed
        self.store = store

    @torch.no_grad()
    def __call__(self, closures: Closures, parameters: Parameters, step: int) -> Tensor:
        """Evaluate the loss twice per direction; return the root mean square of c, in expectation about ‖∇f‖."""
        if step == 0:
            warn_if_rounded_away(parameters, self.eps)
        slopes: list[float] = []
        for p in parameters.values():
            p.grad = p.detach().clone() if p.grad is None else p.grad.copy_(p)
        try:
            for number in range(self.queries):
                z = self._direction(parameters, step, number)
                for name, p in parameters.items():
                    assert p.grad is not None
                    moved_(p, p.grad, z[name], self.eps)
                ahead = loss_of(closures)
                for p in parameters.values():
                    assert p.grad is not None
                    mirrored_(p, p.grad)
                behind = loss_of(closures)
                slopes.append((ahead - behind) / (2 * self.eps))
        finally:
            for p in parameters.values():
                assert p.grad is not None
                p.copy_(p.grad)
        for number, slope in enumerate(slopes):
            if self.queries > 1:
                z = self._direction(parameters, step, number)
            for name, p in parameters.items():
                assert p.grad is not None
                share = z[name].mul_(slope / self.queries)
                local(p.grad).copy_(share) if number == 0 else local(p.grad).add_(share)
        return torch.tensor(math.sqrt(sum(c * c for c in slopes) / self.queries))

    def _direction(self, parameters: Parameters, step: int, number: int) -> Direction:
        return Direction(self.direction, self.seed, step, number, parameters, self.store)


def warn_if_rounded_away(parameters: Parameters, eps: float) -> None:
    """Warn if ε is below half a bf16 unit in the last place of the median weight: rounding blurs the perturbation."""
    sizes = [local(p.detach()).float().abs().median() for p in parameters.values() if p.dtype == torch.bfloat16]
    if not sizes:
        return
    median = float(torch.stack(sizes).median())
    ulp = 2.0 ** (math.floor(math.log2(median)) - 7) if median > 0 else 0.0
    if eps < ulp / 2:
        warnings.warn(
            f"eps={eps} is below half a bf16 unit in the last place ({ulp:.1e}) of the median weight ({median:.1e}): "
            "rounding blurs the perturbation; raise eps or train with fp32 master weights",
            stacklevel=2,
        )


@OPTIMIZERS.register("zo_sgd", grade="zeroth")
@dataclass(frozen=True, slots=True)
class ZOSGD:
    """w ← w − lr·g with the zeroth-order estimate g.

    Attributes:
        lr: learning rate.
        eps: step ε of the finite difference, about the distance that each weight moves.
        queries: directions per step.
        direction: "sphere" (radius √d), "gaussian" or "rademacher".
        store: keep each direction in memory while it is used, which costs 4 bytes per weight and saves two draws.

    Source: Malladi et al. 2023, "Fine-tuning language models with just forward passes" (MeZO), arXiv 2305.17333.
    Departs: directions are on a sphere by default; weights are restored from a copy.
    """

    name: ClassVar[str] = "zo_sgd"
    facts: ClassVar[Facts] = Facts(rule="w −= η·c·z", state_bytes=0, extra_bytes=4, gradient=False, cost=TWO_LOSSES)
    lr: float = 1e-6
    eps: float = 1e-3
    queries: int = 1
    direction: Kind = "sphere"
    store: bool = False

    def __post_init__(self) -> None:
        positive(self.name, lr=self.lr, eps=self.eps, queries=self.queries)
        check_kind(self.name, self.direction)

    def build(self, parameters: Parameters, *, clip: float | None, seed: int) -> Rule:
        """Build a rule that feeds zeroth-order estimates to SGD."""
        estimate = ZerothOrder(self.eps, self.queries, self.direction, seed, self.store)
        update = torch.optim.SGD(parameters.values(), lr=self.lr)
        return GradientRule(parameters, estimate, update, clip=clip)
