"""UNDIAL: distil the model into itself with the true token's logit turned down."""

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
    """Mean over scored tokens of CE(softmax(z_ref − s·onehot(y)), softmax(z)).

    Args:
        logits: [batch, seq, vocab] z of the model.
        reference: [batch, seq, vocab] z_ref of the reference.
        labels: [batch, seq] int64; shifted by one here, unscored positions get no weight.
        strength: s.

    Returns:
        Scalar, at least 0.

    Source: Dong et al. 2024, "UNDIAL: self-distillation with adjusted logits".
    Departs: none.
    """
    mask = scored(labels).to(logits.device)
    truth = labels[:, 1:].to(logits.device).where(mask, 0)  # an ignored label is no index
    teacher = wide(reference[:, :-1].to(logits.device))
    teacher = teacher.scatter_add(2, truth[..., None], -strength * mask[..., None].to(teacher)).softmax(-1)
    return mean_scored(-(teacher * log_softmax(logits[:, :-1])).sum(-1), labels)


@OBJECTIVES.register("undial")
@dataclass(frozen=True, slots=True)
class UNDIAL(ObjectiveDefaults):
    """ℓ_f = CE(softmax(z_ref − s·onehot(y)), softmax(z)); the reference is kept.

    Attributes:
        strength: s, 5 to 10.
    """

    name: ClassVar[str] = "undial"
    unit: ClassVar[Unit] = "token"
    needs: ClassVar[Needs] = "model"

    strength: float = 10.0

    def __post_init__(self) -> None:
        if not self.strength > 0:
            raise ConfigError(f"objective undial has strength={self.strength}: give a number above 0")

    def loss(self, batch: BatchLike, model: View, reference: View | None) -> Tensor:
        """UNDIAL of the batch's forget sequences."""
        assert reference is not None
        return undial(model.logits(batch), reference.logits(batch), batch.labels, self.strength)
