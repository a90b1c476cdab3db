"""An optimizer: gradient descent with heavy-ball momentum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from robust_unlearn_bench.optimizers import OPTIMIZERS, Facts
from robust_unlearn_bench.optimizers.rule import Backward, GradientRule, Parameters, Rule


@OPTIMIZERS.register("momentum", grade="first")
@dataclass(frozen=True, slots=True)
class Momentum:
    """m ← momentum·m + g, w ← w − lr·m.

    Attributes:
        lr: learning rate.
        momentum: decay rate of m.
    """

    name: ClassVar[str] = "momentum"
    facts: ClassVar[Facts] = Facts(rule="w −= η·m", state_bytes=4)

    lr: float = 1e-3
    momentum: float = 0.9

    def build(self, parameters: Parameters, *, clip: float | None, seed: int) -> Rule:
        """Backpropagation into torch's SGD."""
        update = torch.optim.SGD(parameters.values(), lr=self.lr, momentum=self.momentum)
        return GradientRule(parameters, Backward(), update, clip=clip)
