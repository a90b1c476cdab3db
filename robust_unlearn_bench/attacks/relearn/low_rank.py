"""Relearning through a low-rank adapter, which is then merged: the cheap way to relearn a large model."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

from ..spec import AttackContext, attack
from .training_attack import TrainingAttack, corpora_of

__all__ = ["LoraRelearn"]


@attack("lora_relearn")
@dataclasses.dataclass(frozen=True, slots=True)
class LoraRelearn(TrainingAttack):
    """As `relearn`, with an adapter of rank r on every linear layer but the head; W becomes W + (alpha / rank)·B·A.

    Source: Hu et al. 2021 for the adapter; rank 16, alpha 32, lr 2e-4 as the protocol has them.
    Departs: no dropout.

    Attributes:
        k: optimizer steps.
        rank: of the adapter.
        alpha: its scale times its rank.
    """

    family: ClassVar[str] = "lora_relearn"
    argument: ClassVar[str | None] = "k"
    version: ClassVar[int] = 1

    lr: float = 2e-4
    k: int = 50
    rank: int = 16
    alpha: int = 32

    def apply(self, model: Any, context: AttackContext) -> dict[str, Any]:
        """Train an adapter on the forget text and merge it."""
        from ...training.lora import adapter

        corpus = corpora_of(self.family, context).forget
        sequences = self.encoded(context, corpus)
        with adapter(model, self.rank, self.alpha, self.seed, "attack lora_relearn") as trained:
            ((_, diagnostics),) = self.stations(model, context, sequences, at=[self.k], schedule="cosine")
        return diagnostics | {"adapter_parameters": trained}
