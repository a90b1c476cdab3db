"""ILU: forgetting that is stationary under fine-tuning, by invariant risk minimisation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor

from ..errors import ConfigError
from .divergence import log_softmax
from .masking import mean_scored, scored, wide
from .objective import OBJECTIVES, BatchLike, Mean, OnBase, View

__all__ = ["ILU", "scale_gradient"]


def scale_gradient(logits: Tensor, labels: Tensor) -> Tensor:
    """∇_{w=1} CE(w · logits): how much a global rescaling of the logits would lower the loss.

    d/dw [−w·z_y + log Σ exp(w·z)] at w = 1 is E_p[z] − z_y, so no second backward pass is needed.

    Args:
        logits: [batch, seq, vocab].
        labels: [batch, seq] int64, shifted by one here.

    Returns:
        Scalar: the mean over scored tokens.
    """
    z = wide(logits[:, :-1])
    truth = labels[:, 1:].to(z.device).where(scored(labels).to(z.device), 0)
    expected = (log_softmax(z).exp() * z).sum(-1)
    return mean_scored(expected - z.gather(2, truth[..., None])[..., 0], labels)


@OBJECTIVES.register("ilu")
@dataclass(frozen=True, slots=True)
class ILU(OnBase):
    """ℓ_f = base + λ · ‖∇_{w=1} CE(w · logits; D_ft)‖² on fine-tuning text D_ft.

    Attributes:
        base: the forget loss, with its default hyper-parameters.
        weight: λ.

    Source: Wang et al. 2025, "Invariance makes LLM unlearning resilient even to unanticipated downstream fine-tuning",
        after Arjovsky et al. 2019, IRMv1.
    Departs: the penalty is taken on the step's batch, squared after the mean. A batch that is computed in parts costs a
        further forward pass of the fine-tuning text, which finds the mean that the parts share.
    """

    name: ClassVar[str] = "ilu"
    companion: ClassVar[Literal["finetuning"]] = "finetuning"

    base: Literal["npo", "simnpo", "grad_diff", "rmu"] = "npo"
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not self.weight > 0:
            raise ConfigError(f"objective ilu has weight={self.weight}: give a number above 0")

    def loss(self, batch: BatchLike, model: View, reference: View | None) -> Tensor:
        """Base loss of the forget sequences and penalty of the fine-tuning sequences."""
        penalty = self._penalty(_scale_gradient_of_companion(batch, model))
        return self.inner.loss(batch, model, reference) + penalty

    def means(self, model: View, reference: View | None) -> tuple[Mean, ...]:
        """The base loss, and the mean over the fine-tuning tokens whose square is the penalty."""
        base = Mean(lambda batch: self.inner.loss(batch, model, reference), self.unit)
        return base, Mean(lambda batch: _scale_gradient_of_companion(batch, model), "companion_token", self._penalty)

    def _penalty(self, mean: Tensor) -> Tensor:
        return self.weight * mean.square()


def _scale_gradient_of_companion(batch: BatchLike, model: View) -> Tensor:
    text = batch.companion
    assert text is not None
    return scale_gradient(model.logits(text), text.labels)
