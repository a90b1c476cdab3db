"""Relearning with a low-rank adapter that is merged afterwards: a cheap way to attack a large model."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator, Sequence
from typing import Any, ClassVar

from ..attack import ATTACKS, AttackContext, Diagnostics
from .training_attack import ConstantRate, StepsAttack

__all__ = ["LoraConst", "LoraRelearn"]


@ATTACKS.register("lora_relearn", label="lora_relearn{k}", budget="steps", trains_on="forget")
@dataclasses.dataclass(frozen=True, slots=True)
class LoraRelearn(StepsAttack):
    """As `relearn`, through a low-rank adapter on every linear layer except the head.

    A and B of W + (alpha / rank)·B·A are trained, B starting at 0, and the product is added to W at the end.

    Attributes:
        k: number of optimizer steps.
        rank: rank of the adapter.
        alpha: scale of the adapter times its rank.

    Source: Hu et al. 2021 (arXiv 2106.09685), section 4.1, for the adapter; rank 16, alpha 32 and lr 2e-4 are the protocol's.
    Departs: no dropout.
    Cost: k·(F + ⅔ B); 16 bytes per adapter parameter (0.6 % of a 7B model at rank 16) in place of the states of a full
        fine-tuning.
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
        return diagnostics | {"adapter_parameters": trained.parameters}


@ATTACKS.register("lora_const", label="lora_const{k}", budget="steps", trains_on="forget")
@dataclasses.dataclass(frozen=True, slots=True)
class LoraConst(ConstantRate):
    """As `lora_relearn`, at a constant learning rate, so that every k is a station of one trajectory.

    Attributes:
        k: number of optimizer steps.
        rank: rank of the adapter.
        alpha: scale of the adapter times its rank.

    Source: as `lora_relearn`.
    Departs: constant learning rate; no dropout.
    Cost: as `lora_relearn`, for the largest k.
    """

    name: ClassVar[str] = "lora_const"

    lr: float = 2e-4
    rank: int = 16
    alpha: int = 32

    def stages(
        self, model: Any, context: AttackContext, stops: Sequence[int]
    ) -> Generator[tuple[int, Diagnostics], None, None]:
        """Train an adapter up to the largest stop, and yield at every stop with the adapter merged."""
        from ...training.lora import adapter

        sequences = self.encoded(context, self.corpus(context))
        with adapter(model, self.rank, self.alpha, self.seed, f"attack {self.name}") as trained:
            for k, diagnostics in self.stations(
                model, context, sequences, at=sorted(set(stops)), schedule=self.schedule, deployed=trained.merged
            ):
                yield k, diagnostics | {"adapter_parameters": trained.parameters}
