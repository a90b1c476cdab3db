"""An attack: every weight matrix shrinks towards zero."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from robust_unlearn_bench.attacks import ATTACKS, AttackContext, AttackDefaults, Diagnostics
from robust_unlearn_bench.errors import ConfigError


@ATTACKS.register("shrink", label="shrink{percent}")
@dataclass(frozen=True, slots=True)
class Shrink(AttackDefaults):
    """w ← (1 − percent / 100)·w for every weight matrix.

    Attributes:
        percent: from 0 to 100.
    """

    name: ClassVar[str] = "shrink"

    percent: int = 5

    def __post_init__(self) -> None:
        if not 0 <= self.percent <= 100:
            raise ConfigError(f"attack shrink has percent={self.percent}: give a number from 0 to 100")

    def apply(self, model: Any, context: AttackContext) -> Diagnostics:
        """Shrink the matrices in place."""
        matrices = [p for p in model.parameters() if p.ndim == 2]
        with torch.no_grad():
            for matrix in matrices:
                matrix.mul_(1 - self.percent / 100)
        return {"matrices": len(matrices)}
