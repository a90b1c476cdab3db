"""Robust first-order rules, with the forget gradient taken around the weights (SAM, smoothing, reduced TAR)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from .adam import adamw
from .checks import positive
from .directions import Direction
from .grade import Cost, Facts
from .optimizer import OPTIMIZERS
from .perturbation import moved_, restored
from .rule import Closures, GradientRule, Parameters, Rule, total_norm

__all__ = ["RS", "SAM", "TAR"]


def _forget_gradients(closures: Closures, parameters: Parameters) -> None:
    for p in parameters.values():
        p.grad = None
    closures.forget(backward=True)


class _Sharpest:
    """The forget gradient at w + ε, ε = ρ·g_f/‖g_f‖ over all parameters; the retain gradient at w."""

    def __init__(self, rho: float) -> None:
        self.rho = rho

    def __call__(self, closures: Closures, parameters: Parameters, step: int) -> Tensor:
        _forget_gradients(closures, parameters)
        norm = float(total_norm(parameters))
        if norm > 0:
            with restored(parameters) as saved:
                for name, p in parameters.items():
                    if p.grad is not None:
                        moved_(p, saved[name], p.grad.float(), self.rho / norm)
                _forget_gradients(closures, parameters)
        closures.retain(backward=True)
        return total_norm(parameters)


class _Smoothed:
    """The mean of n forget gradients at w + δ, δ normal with standard deviation σ; the retain gradient at w."""

    def __init__(self, samples: int, sigma: float, seed: int) -> None:
        self.samples = samples
        self.sigma = sigma
        self.seed = seed

    def __call__(self, closures: Closures, parameters: Parameters, step: int) -> Tensor:
        for p in parameters.values():
            p.grad = None
        with restored(parameters) as saved:
            for number in range(self.samples):
                noise = Direction("gaussian", self.seed, step, number, parameters)
                for name, p in parameters.items():
                    moved_(p, saved[name], noise[name], self.sigma)
                closures.forget(backward=True)
        for p in parameters.values():
            if p.grad is not None:
                p.grad.div_(self.samples)
        closures.retain(backward=True)
        return total_norm(parameters)


class _Tampered:
    """The forget gradient after K steps of sign descent on the forget cross-entropy; the retain gradient at w."""

    def __init__(self, inner_steps: int, inner_lr: float) -> None:
        self.inner_steps = inner_steps
        self.inner_lr = inner_lr

    def __call__(self, closures: Closures, parameters: Parameters, step: int) -> Tensor:
        with restored(parameters):
            for _ in range(self.inner_steps):
                for p in parameters.values():
                    p.grad = None
                closures.relearn(backward=True)
                for p in parameters.values():
                    if p.grad is not None:
                        moved_(p, p, p.grad.float().sign(), -self.inner_lr)
            _forget_gradients(closures, parameters)
        closures.retain(backward=True)
        return total_norm(parameters)


@OPTIMIZERS.register("sam", grade="smoothed")
@dataclass(frozen=True, slots=True)
class SAM:
    """Sharpness-aware minimisation of the forget loss, with updates by AdamW.

    Attributes:
        lr: learning rate of AdamW.
        rho: length ρ of the ascent step.

    Source: Foret et al. 2021, arXiv 2010.01412; Fan et al. 2025, "Towards LLM unlearning resilient to relearning
        attacks", arXiv 2502.05374, for taking only the forget gradient at the perturbed weights.
    Departs: weights are restored from a copy.
    """

    name: ClassVar[str] = "sam"
    facts: ClassVar[Facts] = Facts(
        rule="Adam, forget gradient at w + ρ·g_f/‖g_f‖", state_bytes=8, extra_bytes=4, cost=Cost(2, 2, 1, 1)
    )
    lr: float = 1e-5
    rho: float = 0.01

    def __post_init__(self) -> None:
        positive(self.name, lr=self.lr, rho=self.rho)

    def build(self, parameters: Parameters, *, clip: float | None, seed: int) -> Rule:
        """Build a rule that takes two forget gradients and one retain gradient, and updates with AdamW."""
        update = adamw([*parameters.values()], self.lr, (0.9, 0.999), 1e-8)
        return GradientRule(parameters, _Sharpest(self.rho), update, clip=clip)


@OPTIMIZERS.register("rs", grade="smoothed")
@dataclass(frozen=True, slots=True)
class RS:
    """Randomized smoothing of the forget loss, with updates by AdamW.

    Attributes:
        lr: learning rate of AdamW.
        samples: number n of perturbed forget gradients that are averaged.
        sigma: standard deviation σ of the noise on each weight.

    Source: Fan et al. 2025, arXiv 2502.05374, after Cohen et al. 2019, arXiv 1902.02918.
    Departs: weights are restored from a copy.
    """

    name: ClassVar[str] = "rs"
    facts: ClassVar[Facts] = Facts(
        rule="Adam, forget gradient averaged over w + δ", state_bytes=8, extra_bytes=4, cost=Cost(3, 3, 1, 1)
    )
    lr: float = 1e-5
    samples: int = 3
    sigma: float = 1e-4

    def __post_init__(self) -> None:
        positive(self.name, lr=self.lr, samples=self.samples, sigma=self.sigma)

    def build(self, parameters: Parameters, *, clip: float | None, seed: int) -> Rule:
        """Build a rule that takes n forget gradients and one retain gradient, and updates with AdamW."""
        update = adamw([*parameters.values()], self.lr, (0.9, 0.999), 1e-8)
        return GradientRule(parameters, _Smoothed(self.samples, self.sigma, seed), update, clip=clip)


@OPTIMIZERS.register("tar", grade="smoothed")
@dataclass(frozen=True, slots=True)
class TAR:
    """Reduced tamper-resistant meta-learning, with updates by AdamW.

    Attributes:
        lr: learning rate of AdamW.
        inner_steps: number K of steps of the simulated attack.
        inner_lr: distance that each attack step moves every weight, as Adam's first step does at this learning rate.

    Source: Tamirisa et al. 2024, "Tamper-resistant safeguards for open-weight LLMs", arXiv 2408.00761, with its
        first-order approximation: the gradient at the attacked weights is applied to the original weights.
    Departs: this is a reduced version. K is small (64 in the paper), a single attack relearns the step's own forget
        batch by sign descent (in the paper, AdamW on several data sets), the recipe's forget and retain losses replace
        the paper's entropy loss and retain term, and the initial random mapping is left out.
    """

    name: ClassVar[str] = "tar"
    facts: ClassVar[Facts] = Facts(
        rule="Adam, forget gradient after K steps of relearning", state_bytes=8, extra_bytes=4, cost=Cost(5, 5, 1, 1)
    )
    lr: float = 1e-5
    inner_steps: int = 4
    inner_lr: float = 1e-5

    def __post_init__(self) -> None:
        positive(self.name, lr=self.lr, inner_steps=self.inner_steps, inner_lr=self.inner_lr)

    def build(self, parameters: Parameters, *, clip: float | None, seed: int) -> Rule:
        """Build a rule that takes K attack gradients, one forget and one retain gradient, and updates with AdamW."""
        update = adamw([*parameters.values()], self.lr, (0.9, 0.999), 1e-8)
        return GradientRule(parameters, _Tampered(self.inner_steps, self.inner_lr), update, clip=clip)
