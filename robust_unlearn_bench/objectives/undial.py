"""UNDIAL: self-distillation with a lowered logit of the true token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from ..errors import ConfigError
from .divergence import log_softmax
from .masking import mean_scored, scored, wide
from .objective import OBJECTIVES, BatchLike, Needs, ObjectiveDefaults, Unit, View

__all__ = ["UNDIAL", "undial"]


def undial(logits: Tensor, reference: Tensor, labels: Tensor, strength: float) -> Tensor:
    """Return the mean over scored tokens of CE(softmax(z_ref − s·onehot(y)), softmax(z)).

    Args:
        logits: [batch, seq, vocab] logits z of the model.
        reference: [batch, seq, vocab] logits z_ref of the reference.
        labels: [batch, seq] int64, unshifted; the shift by one happens here, and unscored positions have no weight.
        strength: amount s by which the true token's logit is lowered.

    Returns:
        Scalar, at least 0.

    Source: Dong et al. 2024, "UNDIAL: self-distillation with adjusted logits", arXiv 2402.10052.
    Departs: none.
    """
    mask = scored(labels).to(logits.device)
    truth = labels[:, 1:].to(logits.device).where(mask, 0)  # IGNORED is not a valid index
    teacher = wide(reference[:, :-1].to(logits.device))
    teacher = teacher.scatter_add(2, truth[..., None], -strength * mask[..., None].to(teacher)).softmax(-1)
    return mean_scored(-(teacher * log_softmax(logits[:, :-1])).sum(-1), labels)


@OBJECTIVES.register("undial")
@dataclass(frozen=True, slots=True)
class UNDIAL(ObjectiveDefaults):
    """ℓ_f = CE(softmax(z_ref − s·onehot(y)), softmax(z)); a frozen copy of the reference stays in memory.

    Attributes:
        strength: amount s by which the true token's logit is lowered; usually 5 to 10.
    """

    name: ClassVar[str] = "undial"
    unit: ClassVar[Unit] = "token"
    needs: ClassVar[Needs] = "model"

    strength: float = 10.0

    def __post_init__(self) -> None:
        if not self.strength > 0:
            raise ConfigError(f"objective undial has strength={self.strength}: give a number above 0")

    def loss(self, batch: BatchLike, model: View, reference: View | None) -> Tensor:
        """Compute the UNDIAL loss of the batch's forget sequences."""
        assert reference is not None
        return undial(model.logits(batch), reference.logits(batch), batch.labels, self.strength)
