"""Losses with a known gradient, for rules that ask for losses by closure."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import Parameter


class Quadratic:
    """forget = ½ Σ a·(w − 1)², retain = ½ Σ b·w²; relearn = ½ Σ b·(w + 1)²; counts its evaluations.

    Args:
        parameters: by name.
        seed: of the curvatures a and b, in [.5, 1.5].
    """

    def __init__(self, parameters: dict[str, Parameter], seed: int = 0) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.parameters = parameters
        self.a = {n: 0.5 + torch.rand(p.shape, generator=generator) for n, p in parameters.items()}
        self.b = {n: 0.5 + torch.rand(p.shape, generator=generator) for n, p in parameters.items()}
        self.forwards = self.backwards = 0
        self.visited: list[dict[str, Tensor]] = []

    def forget(self, backward: bool) -> float:
        return self._loss(lambda n, w: 0.5 * (self.a[n] * (w - 1).square()).sum(), backward)

    def retain(self, backward: bool) -> float:
        return self._loss(lambda n, w: 0.5 * (self.b[n] * w.square()).sum(), backward)

    def relearn(self, backward: bool) -> float:
        return self._loss(lambda n, w: 0.5 * (self.b[n] * (w + 1).square()).sum(), backward)

    def sampled(self, backward: bool, seed: int) -> tuple[float, int]:
        return self._loss(lambda n, w: (self.a[n] * w).sum(), backward), 4

    def _loss(self, term: Callable[[str, Tensor], Tensor], backward: bool) -> float:
        self.forwards += 1
        self.backwards += backward
        self.visited.append({n: p.detach().clone() for n, p in self.parameters.items()})
        with torch.set_grad_enabled(backward):
            loss = torch.stack([term(n, p.float()) for n, p in self.parameters.items()]).sum()
        if backward:
            loss.backward()
        return float(loss.detach())


@pytest.fixture
def quadratic() -> Callable[..., Quadratic]:
    """Factory: `quadratic(dtype=torch.bfloat16)` has weights of three shapes in layers as a model names them."""

    def build(dtype: torch.dtype = torch.float32, seed: int = 0) -> Quadratic:
        generator = torch.Generator().manual_seed(100 + seed)
        shapes = {"embed.weight": (6, 4), "layers.0.up.weight": (4, 4), "layers.0.norm.weight": (4,)}
        parameters = {
            name: Parameter(torch.randn(shape, generator=generator).to(dtype)) for name, shape in shapes.items()
        }
        return Quadratic(parameters, seed)

    return build
