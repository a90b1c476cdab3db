"""Retain losses, which preserve the rest of the model's knowledge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from ..errors import ConfigError
from .divergence import jensen_shannon, kl, log_softmax
from .masking import mean_scored, token_logprobs
from .objective import RETAIN_LOSSES, BatchLike, Needs, ObjectiveDefaults, Unit, View
from .rmu import activation_distance

__all__ = ["JSD", "KL", "NLL", "Activation"]


@RETAIN_LOSSES.register("nll")
@dataclass(frozen=True, slots=True)
class NLL(ObjectiveDefaults):
    """ℓ_r = CE, the mean of −log p(token) over the scored tokens of the batch."""

    name: ClassVar[str] = "nll"
    unit: ClassVar[Unit] = "token"
    needs: ClassVar[Needs] = "nothing"

    def loss(self, batch: BatchLike, model: View, reference: View | None) -> Tensor:
        """Compute the mean negative log-likelihood."""
        return -mean_scored(token_logprobs(model.logits(batch), batch.labels), batch.labels)


@RETAIN_LOSSES.register("kl")
@dataclass(frozen=True, slots=True)
class KL(ObjectiveDefaults):
    """ℓ_r = KL(p_ref ‖ p), averaged over scored positions; 0 at the start.

    Source: Maini et al. 2024 (TOFU), arXiv 2401.06121, KL minimisation.
    Departs: summed over the vocabulary and averaged over scored positions only, where TOFU's code averages over the
        vocabulary and includes padding.
    """

    name: ClassVar[str] = "kl"
    unit: ClassVar[Unit] = "token"
    needs: ClassVar[Needs] = "model"

    def loss(self, batch: BatchLike, model: View, reference: View | None) -> Tensor:
        """Compute the mean divergence from the reference."""
        assert reference is not None
        before = log_softmax(reference.logits(batch)[:, :-1])
        now = log_softmax(model.logits(batch)[:, :-1])
        return mean_scored(kl(before.to(now.device), now), batch.labels)


@RETAIN_LOSSES.register("jsd")
@dataclass(frozen=True, slots=True)
class JSD(ObjectiveDefaults):
    """ℓ_r = JSD(p ‖ p_ref), averaged over scored positions; between 0 and log 2.

    Source: Singh et al. 2025 (JensUn), the retain term.
    Departs: none.
    """

    name: ClassVar[str] = "jsd"
    unit: ClassVar[Unit] = "token"
    needs: ClassVar[Needs] = "model"

    def loss(self, batch: BatchLike, model: View, reference: View | None) -> Tensor:
        """Compute the mean divergence from the reference."""
        assert reference is not None
        before = log_softmax(reference.logits(batch)[:, :-1])
        now = log_softmax(model.logits(batch)[:, :-1])
        return mean_scored(jensen_shannon(now, before.to(now.device)), batch.labels)


@RETAIN_LOSSES.register("activation")
@dataclass(frozen=True, slots=True)
class Activation(ObjectiveDefaults):
    """ℓ_r = ‖h_l(x_r) − h_ref,l(x_r)‖², averaged over tokens and width; the retain term of RMU (weight 1200).

    Attributes:
        layer: number l of the decoder layer, from 0; the same as in the forget loss.
    """

    name: ClassVar[str] = "activation"
    unit: ClassVar[Unit] = "token"
    needs: ClassVar[Needs] = "model"

    layer: int = 7

    def __post_init__(self) -> None:
        if self.layer < 0:
            raise ConfigError(f"retain loss activation has layer={self.layer}: give a number from 0")

    def loss(self, batch: BatchLike, model: View, reference: View | None) -> Tensor:
        """Compute the mean squared distance from the reference's hidden states."""
        assert reference is not None
        before = reference.hidden(batch, self.layer)
        return activation_distance(model.hidden(batch, self.layer), before, batch.labels)
