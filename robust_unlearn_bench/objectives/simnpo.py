"""SimNPO: NPO without a reference, on length-normalised log-probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn.functional import logsigmoid

from ..errors import ConfigError
from .masking import scored, sequence_logprobs
from .objective import OBJECTIVES, BatchLike, Needs, ObjectiveDefaults, Unit, View

__all__ = ["SimNPO", "simnpo"]


def simnpo(logp: Tensor, tokens: Tensor, beta: float, gamma: float) -> Tensor:
    """−(2/β) · mean log σ(−(β/|y|)·logp − γ).

    Args:
        logp: [batch] log-probabilities of the completions.
        tokens: [batch] number of scored tokens |y| of each completion.
        beta: inverse temperature.
        gamma: margin; larger values demand lower probabilities.

    Returns:
        Scalar, at least 0.

    Source: Fan et al. 2024, "Simplicity prevails", arXiv 2410.07163.
    Departs: none.
    """
    return -(2 / beta) * logsigmoid(-beta * logp / tokens - gamma).mean()


@OBJECTIVES.register("simnpo")
@dataclass(frozen=True, slots=True)
class SimNPO(ObjectiveDefaults):
    """ℓ_f = −(2/β)·E log σ(−(β/|y|)·log π − γ).

    The paper gives it weight .125, and the retain loss weight 1.

    Attributes:
        beta: inverse temperature, usually 2.5 to 4.5.
        gamma: margin; larger values demand lower probabilities.
    """

    name: ClassVar[str] = "simnpo"
    unit: ClassVar[Unit] = "sequence"
    needs: ClassVar[Needs] = "nothing"

    beta: float = 2.5
    gamma: float = 0.0

    def __post_init__(self) -> None:
        if not self.beta > 0:
            raise ConfigError(f"objective simnpo has beta={self.beta}: give a number above 0")

    def loss(self, batch: BatchLike, model: View, reference: View | None) -> Tensor:
        """Compute the SimNPO loss of the batch's forget sequences."""
        logp = sequence_logprobs(model.logits(batch), batch.labels)
        return simnpo(logp, scored(batch.labels).sum(1).to(logp.device), self.beta, self.gamma)
