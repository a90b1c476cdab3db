"""HiZOO: a zeroth-order rule with a diagonal curvature, estimated from the same losses and one more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from ..models.shards import local
from .checks import fraction, positive
from .directions import Direction, Kind, check_kind
from .grade import Cost, Facts
from .optimizer import OPTIMIZERS
from .perturbation import moved_
from .rule import Closures, GradientRule, Parameters, Rule
from .zeroth_order import loss_of, warn_if_rounded_away

__all__ = ["HiZOO", "curvature_"]


def curvature_(h: Tensor, z: Tensor, *, bend: float, alpha: float) -> None:
    """h ← (1 − α)·h + α·|½ · bend · h · z²|, in place.

    Args:
        h: estimate of the Hessian's diagonal, above 0.
        z: direction of the finite difference, before its scaling by h^-½.
        bend: (f(w + εh^-½z) + f(w − εh^-½z) − 2f(w)) / ε².
        alpha: weight of the new estimate in the moving average.
    """
    seen = (h * z.square()).mul_(0.5 * bend).abs_()
    h.mul_(1 - alpha).add_(seen, alpha=alpha)


class _Curved:
    """g = c·h^-½z with c from w ± εh^-½z; h is updated before g uses it."""

    def __init__(self, config: HiZOO, seed: int) -> None:
        self.config = config
        self.seed = seed
        self.h: dict[str, Tensor] = {}

    @torch.no_grad()
    def __call__(self, closures: Closures, parameters: Parameters, step: int) -> Tensor:
        c = self.config
        if step == 0:
            warn_if_rounded_away(parameters, c.eps)
        for name, p in parameters.items():
            self.h.setdefault(name, torch.ones_like(local(p), dtype=torch.float32))
            p.grad = p.detach().clone() if p.grad is None else p.grad.copy_(p)
        z = Direction(c.direction, self.seed, step, 0, parameters, c.store)
        here = loss_of(closures)
        try:
            ahead = self._loss_at(closures, parameters, z, c.eps)
            behind = self._loss_at(closures, parameters, z, -c.eps)
        finally:
            for p in parameters.values():
                assert p.grad is not None
                p.copy_(p.grad)
        slope = (ahead - behind) / (2 * c.eps)
        bend = (ahead + behind - 2 * here) / c.eps**2
        for name, p in parameters.items():
            assert p.grad is not None
            h = self.h[name]
            curvature_(h, z[name], bend=bend, alpha=c.alpha)
            local(p.grad).copy_(z[name] * h.rsqrt() * slope)
        return torch.tensor(abs(slope))

    def _loss_at(self, closures: Closures, parameters: Parameters, z: Direction, distance: float) -> float:
        for name, p in parameters.items():
            assert p.grad is not None
            moved_(p, p.grad, z[name] * self.h[name].rsqrt(), distance)
        return loss_of(closures)

    def state_dict(self) -> dict[str, Any]:
        return {"h": self.h}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.h = {name: h.clone() for name, h in state["h"].items()}


@OPTIMIZERS.register("hizoo", grade="zeroth")
@dataclass(frozen=True, slots=True)
class HiZOO:
    """HiZOO: w ← w − lr·c·h^-½z.

    Attributes:
        lr: learning rate.
        eps: step ε of the finite differences.
        alpha: weight of the new curvature in its moving average.
        direction: "sphere" (radius √d), "gaussian" or "rademacher".
        store: keep each direction in memory while it is used.

    Source: Zhao et al. 2024, "Second-order fine-tuning without pain for LLMs: a Hessian informed zeroth-order
        optimizer", arXiv 2402.15173, algorithm 1.
    Departs: directions are on a sphere by default; weights are restored from a copy.
    """

    name: ClassVar[str] = "hizoo"
    facts: ClassVar[Facts] = Facts(
        rule="w −= η·c·h^-½·z", state_bytes=4, extra_bytes=4, gradient=False, cost=Cost(3, 0, 3, 0)
    )
    lr: float = 1e-6
    eps: float = 1e-3
    alpha: float = 1e-8
    direction: Kind = "sphere"
    store: bool = False

    def __post_init__(self) -> None:
        positive(self.name, lr=self.lr, eps=self.eps)
        fraction(self.name, alpha=self.alpha)
        check_kind(self.name, self.direction)

    def build(self, parameters: Parameters, *, clip: float | None, seed: int) -> Rule:
        """Build a rule that feeds estimates from three losses to SGD."""
        update = torch.optim.SGD(parameters.values(), lr=self.lr)
        return GradientRule(parameters, _Curved(self, seed), update, clip=clip)
