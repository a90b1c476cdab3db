"""Relearning with a low-rank adapter that is merged afterwards: a cheap way to attack a large model."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

from ..attack import ATTACKS, AttackContext, Diagnostics
from .training_attack import StepsAttack

__all__ = ["LoraRelearn"]


@ATTACKS.register("lora_relearn", label="lora_relearn{k}", budget="steps")
@dataclasses.dataclass(frozen=True, slots=True)
class LoraRelearn(StepsAttack):
    """Relearning with an adapter on every linear layer except the head; W becomes W + (alpha / rank)·B·A.

    Source: Hu et al. 2021 (arXiv 2106.09685), section 4.1, for the adapter; rank 16, alpha 32 and lr 2e-4 are the protocol's.
    Departs: no dropout.

    Attributes:
        k: optimizer steps.
        rank: rank of the adapter.
        alpha: numerator of the adapter's scale alpha / rank.
    """

    name: ClassVar[str] = "lora_relearn"

    lr: float = 2e-4
    rank: int = 16
    alpha: int = 32

    def apply(self, model: Any, context: AttackContext) -> Diagnostics:
        """Train an adapter on the forget text and merge it."""
        from ...training.lora import adapter

        with adapter(model, self.rank, self.alpha, self.seed, f"attack {self.name}") as trained:
            diagnostics = StepsAttack.apply(self, model, context)
        return diagnostics | {"adapter_parameters": trained}
