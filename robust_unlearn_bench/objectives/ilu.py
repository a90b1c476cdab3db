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
    """∇_{w=1} CE(w · logits): the slope of the loss under a global rescaling of the logits.

    d/dw [−w·z_y + log Σ exp(w·z)] at w = 1 is E_p[z] − z_y, so no second backward pass is needed.

    Args:
        logits: [batch, seq, vocab].
        labels: [batch, seq] int64, unshifted; the shift by one happens here.

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
        base: name of the forget loss, which keeps its default hyper-parameters.
        weight: weight λ of the penalty.

    Source: Wang et al. 2025, "Invariance makes LLM unlearning resilient even to unanticipated downstream fine-tuning",
        after Arjovsky et al. 2019, IRMv1, arXiv 1907.02893.
    Departs: the penalty is computed on the batch of each step, and the mean is squared, not its terms. A batch that is
        processed in parts costs one more forward pass over the fine-tuning text, to obtain the mean over all parts.
    """

    name: ClassVar[str] = "ilu"
    companion: ClassVar[Literal["finetuning"]] = "finetuning"

    base: Literal["npo", "simnpo", "grad_diff", "rmu"] = "npo"
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not self.weight > 0:
            raise ConfigError(f"objective ilu has weight={self.weight}: give a number above 0")

    def loss(self, batch: BatchLike, model: View, reference: View | None) -> Tensor:
        """Compute the base loss of the forget sequences plus the penalty on the fine-tuning sequences."""
        penalty = self._penalty(_scale_gradient_of_companion(batch, model))
        return self.inner.loss(batch, model, reference) + penalty

    def means(self, model: View, reference: View | None) -> tuple[Mean, ...]:
        """Return the base loss, and the mean over the fine-tuning tokens that is squared to give the penalty."""
        base = Mean(lambda batch: self.inner.loss(batch, model, reference), self.unit)
        return base, Mean(lambda batch: _scale_gradient_of_companion(batch, model), "companion_token", self._penalty)

    def _penalty(self, mean: Tensor) -> Tensor:
        return self.weight * mean.square()


def _scale_gradient_of_companion(batch: BatchLike, model: View) -> Tensor:
    text = batch.companion
    assert text is not None
    return scale_gradient(model.logits(text), text.labels)
