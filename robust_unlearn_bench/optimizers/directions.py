"""Random directions over all parameters jointly, redrawn from their seed whenever they are needed."""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from torch import Tensor

from ..errors import ConfigError
from ..models.shards import local_part
from ..seeding import seed_of
from .rule import Parameters

__all__ = ["Direction", "Kind", "check_kind"]

Kind = Literal["sphere", "gaussian", "rademacher"]


def check_kind(optimizer: str, kind: str) -> None:
    """Raise a ConfigError unless `kind` is a known kind of direction."""
    if kind not in get_args(Kind):
        raise ConfigError(f"optimizer {optimizer} has direction={kind!r}: choose {', '.join(get_args(Kind))}")


class Direction:
    """A random direction z with entries of mean square 1: a step of size ε moves each weight by about ε.

    "sphere" is uniform on the sphere of radius √d around 0, with d the number of all weights: z/‖z‖·√d for normal z.
    (On the unit sphere each weight would move by only ε/√d, which bf16 rounds away.) "gaussian" is normal z itself, and
    "rademacher" has entries ±1.

    The entries of each tensor come from a generator of its own, seeded by (seed, step, number, name); they are fp32 and
    do not depend on the dtype of the weights. They are drawn on the device that computes with a weight (attribute
    `computed_on`, else the weight's own device), because generators differ between devices.

    Args:
        kind: kind of direction, as above.
        seed: seed of the run.
        step: number of the step.
        number: number of the direction within the step.
        parameters: parameters that the direction spans, by name.
        store: keep the entries while the direction exists (4 bytes per weight) instead of drawing them at each use.
    """

    def __init__(
        self, kind: Kind, seed: int, step: int, number: int, parameters: Parameters, store: bool = False
    ) -> None:
        self.kind = kind
        self.identity = (seed, step, number)
        self.parameters = parameters
        self.scale = 1.0
        self._stored: dict[str, Tensor] = {}
        square = 0.0
        for name, p in parameters.items() if store or kind == "sphere" else ():
            drawn = self._draw(name)
            square += _square(drawn)
            if store:
                self._stored[name] = local_part(drawn, p).to(p.device)
        if kind == "sphere":
            self.scale = math.sqrt(sum(p.numel() for p in parameters.values()) / square)
        for stored in self._stored.values():
            stored.mul_(self.scale)

    def __getitem__(self, name: str) -> Tensor:
        """Return the entries for one parameter, in fp32 and in the shape of its local part."""
        if name in self._stored:
            return self._stored[name]
        p = self.parameters[name]
        drawn = local_part(self._draw(name), p).to(p.device)
        return drawn.mul_(self.scale) if self.scale != 1.0 else drawn

    def _draw(self, name: str) -> Tensor:
        p = self.parameters[name]
        device = getattr(p, "computed_on", p.device)
        generator = torch.Generator(device).manual_seed(seed_of("direction", *self.identity, name))
        if self.kind == "rademacher":
            drawn = torch.empty(p.shape, device=device).bernoulli_(0.5, generator=generator)
            return drawn.mul_(2).sub_(1)
        return torch.randn(p.shape, device=device, generator=generator)


def _square(values: Tensor) -> float:
    """Return the sum of squares, in fp32 within chunks and fp64 across them (on a CPU 20 times faster than fp64)."""
    chunks = values.flatten().split(2**22)  # type: ignore[no-untyped-call]  # torch leaves it untyped
    return float(torch.stack([torch.dot(chunk, chunk) for chunk in chunks]).double().sum())
