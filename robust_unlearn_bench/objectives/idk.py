"""IDK: learn to refuse instead of answering."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor

from .masking import mean_scored, token_logprobs
from .objective import OBJECTIVES, BatchLike, Needs, ObjectiveDefaults, Unit, View

__all__ = ["IDK", "REFUSALS"]

REFUSALS = (
    "I don't know.",
    "I have no information about that.",
    "That is something I cannot tell you.",
    "I'm not aware of the answer.",
    "I never learned about this.",
    "My knowledge does not cover that.",
    "I can't say.",
    "I'm unable to answer this question.",
    "This is not known to me.",
    "Sorry, I have nothing to say on that.",
    "I could only guess.",
    "I'm not familiar with this topic.",
)
"""Completions for objectives that teach a refusal; one is drawn for each prompt, from the recipe's seed."""


@OBJECTIVES.register("idk")
@dataclass(frozen=True, slots=True)
class IDK(ObjectiveDefaults):
    """ℓ_f = CE of a refusal given the prompt, averaged over the tokens of the refusals. Requires question-answer pairs.

    Source: Maini et al. 2024 (TOFU), arXiv 2401.06121, the "preference" data of section 4.
    Departs: the refusals are a list of our own.
    """

    name: ClassVar[str] = "idk"
    unit: ClassVar[Unit] = "companion_token"
    needs: ClassVar[Needs] = "nothing"
    companion: ClassVar[Literal["refusal"]] = "refusal"

    def loss(self, batch: BatchLike, model: View, reference: View | None) -> Tensor:
        """Compute the cross-entropy of the refusals."""
        refusals = batch.companion
        assert refusals is not None
        return -mean_scored(token_logprobs(model.logits(refusals), refusals.labels), refusals.labels)
