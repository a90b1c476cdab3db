"""Negative preference optimization: gradient ascent that fades out as the text is forgotten."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor
from torch.nn.functional import logsigmoid

from ..errors import ConfigError
from .masking import scored, sequence_logprobs, wide
from .objective import OBJECTIVES, BatchLike, Needs, ObjectiveDefaults, Unit, View

__all__ = ["NPO", "npo"]


def npo(logp: Tensor, reference: Tensor, beta: float) -> Tensor:
    """−(2/β) · mean log σ(−β · (logp − reference)).

    Its gradient is that of gradient ascent, weighted by 2σ(β · (logp − reference)): 1 at the start, and 0 once the text
    is forgotten.

    Args:
        logp: log-probabilities under the model, any shape.
        reference: log-probabilities under the reference, same shape; where both are equal the loss is (2/β)·log 2.
        beta: inverse temperature; the gradient becomes that of gradient ascent as β → 0.

    Returns:
        Scalar, at least 0.

    Source: Zhang et al. 2024, "Negative preference optimization", arXiv 2404.05868.
    Departs: none.
    """
    return -(2 / beta) * logsigmoid(-beta * (logp - reference)).mean()


@OBJECTIVES.register("npo")
@dataclass(frozen=True, slots=True)
class NPO(ObjectiveDefaults):
    """ℓ_f = −(2/β)·E log σ(−β·(log π − log π_ref)), at one of the three levels found in the literature.

    Attributes:
        beta: inverse temperature: .1 at sequence level, .0125 to .0225 with token means.
        level: "sequence", the published formula: log-probability of the whole completion, averaged over sequences;
            "token_mean": log-probability per scored token, averaged over sequences;
            "muse_logits": raw logits instead of log-probabilities, averaged over positions and vocabulary, as
            muse_bench computes it; this ignores the labels.

    Source: Zhang et al. 2024 (sequence); OPTML's WMDP and SOUL code (token_mean); muse_bench (muse_logits).
    Departs: muse_logits leaves out padding and unscored positions.
    """

    name: ClassVar[str] = "npo"

    beta: float = 0.1
    level: Literal["sequence", "token_mean", "muse_logits"] = "sequence"

    def __post_init__(self) -> None:
        if not self.beta > 0:
            raise ConfigError(f"objective npo has beta={self.beta}: give a number above 0")

    @property
    def unit(self) -> Unit:
        """Unit that the loss averages over: tokens for raw logits, sequences otherwise."""
        return "token" if self.level == "muse_logits" else "sequence"

    @property
    def needs(self) -> Needs:
        """Outputs of the reference for raw logits, its log-probability of each sequence otherwise."""
        return "model" if self.level == "muse_logits" else "sequence_logprobs"

    def loss(self, batch: BatchLike, model: View, reference: View | None) -> Tensor:
        """Compute the NPO loss of the batch's forget sequences."""
        logits = model.logits(batch)
        if self.level == "muse_logits":
            mask = scored(batch.labels).to(logits.device)
            assert reference is not None
            before = wide(reference.logits(batch)[:, :-1][mask])
            return npo(wide(logits[:, :-1][mask]), before, self.beta)
        logp = sequence_logprobs(logits, batch.labels)
        assert batch.before is not None
        before = batch.before.to(logp.device)
        if self.level == "token_mean":
            tokens = scored(batch.labels).sum(1).to(logp.device)
            return npo(logp / tokens, before / tokens, self.beta)
        return npo(logp, before, self.beta)
