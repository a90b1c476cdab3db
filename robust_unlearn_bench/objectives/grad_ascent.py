"""Gradient ascent on the forget text, alone or against the retain loss (GradDiff)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from .masking import mean_scored, token_logprobs
from .objective import OBJECTIVES, BatchLike, Needs, ObjectiveDefaults, Unit, View

__all__ = ["GradAscent", "GradDiff"]


@OBJECTIVES.register("grad_ascent")
@dataclass(frozen=True, slots=True)
class GradAscent(ObjectiveDefaults):
    """ℓ_f = −CE, the mean of log p(token) over the scored tokens of the batch. Unbounded below.

    Source: Thudi et al. 2022, arXiv 2109.13398; Yao et al. 2023, "Large language model unlearning", arXiv 2310.10683.
    Departs: none.
    """

    name: ClassVar[str] = "grad_ascent"
    unit: ClassVar[Unit] = "token"
    needs: ClassVar[Needs] = "nothing"

    def loss(self, batch: BatchLike, model: View, reference: View | None) -> Tensor:
        """Compute the mean log-probability of the scored tokens."""
        return mean_scored(token_logprobs(model.logits(batch), batch.labels), batch.labels)


@OBJECTIVES.register("grad_diff")
@dataclass(frozen=True, slots=True)
class GradDiff(GradAscent):
    """Gradient ascent on the forget text, descent on the retain text; the forget loss is that of `grad_ascent`.

    Source: Liu et al. 2022, "Continual learning and private unlearning", arXiv 2203.12817; Maini et al. 2024 (TOFU),
        arXiv 2401.06121.
    Departs: none; the recipe chooses the retain loss.
    """

    name: ClassVar[str] = "grad_diff"
