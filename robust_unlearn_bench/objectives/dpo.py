"""DPO with a refusal as the preferred answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor
from torch.nn.functional import logsigmoid

from ..errors import ConfigError
from .masking import sequence_logprobs
from .objective import OBJECTIVES, BatchLike, Needs, ObjectiveDefaults, Unit, View

__all__ = ["DPO", "dpo"]


def dpo(refusal: Tensor, answer: Tensor, refusal_reference: Tensor, answer_reference: Tensor, beta: float) -> Tensor:
    """−(2/β) · mean log σ(β · [(refusal − refusal_ref) − (answer − answer_ref)]).

    Args:
        refusal: [batch] log-probabilities of the refusals.
        answer: [batch] log-probabilities of the answers to forget.
        refusal_reference: [batch] log-probabilities of the refusals under the reference.
        answer_reference: [batch] log-probabilities of the answers under the reference.
        beta: inverse temperature.

    Returns:
        Scalar, at least 0; (2/β)·log 2 where model and reference agree.

    Source: Rafailov et al. 2023, arXiv 2305.18290, eq. 7; Zhang et al. 2024, arXiv 2404.05868, for the use in
        unlearning and for the factor 2/β, which makes the loss comparable to NPO.
    Departs: none.
    """
    margin = (refusal - refusal_reference) - (answer - answer_reference)
    return -(2 / beta) * logsigmoid(beta * margin).mean()


@OBJECTIVES.register("dpo")
@dataclass(frozen=True, slots=True)
class DPO(ObjectiveDefaults):
    """ℓ_f = −(2/β)·E log σ(β·(log-ratio of "I don't know" − log-ratio of the answer)). Requires question-answer pairs.

    Attributes:
        beta: inverse temperature.
    """

    name: ClassVar[str] = "dpo"
    unit: ClassVar[Unit] = "sequence"
    needs: ClassVar[Needs] = "sequence_logprobs"
    companion: ClassVar[Literal["refusal"]] = "refusal"

    beta: float = 0.1

    def __post_init__(self) -> None:
        if not self.beta > 0:
            raise ConfigError(f"objective dpo has beta={self.beta}: give a number above 0")

    def loss(self, batch: BatchLike, model: View, reference: View | None) -> Tensor:
        """Compute the DPO loss that prefers the batch's refusals to its answers."""
        refusals = batch.companion
        assert refusals is not None
        assert refusals.before is not None
        assert batch.before is not None
        answer = sequence_logprobs(model.logits(batch), batch.labels)
        refusal = sequence_logprobs(model.logits(refusals), refusals.labels)
        return dpo(refusal, answer, refusals.before.to(answer.device), batch.before.to(answer.device), self.beta)
