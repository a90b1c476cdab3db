"""An objective: make the model uncertain about every token of the forget text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from robust_unlearn_bench.objectives import OBJECTIVES, ObjectiveDefaults, View
from robust_unlearn_bench.objectives.masking import mean_scored
from robust_unlearn_bench.objectives.objective import BatchLike, Needs, Unit


@OBJECTIVES.register("entropy")
@dataclass(frozen=True, slots=True)
class Entropy(ObjectiveDefaults):
    """ℓ_f = mean over scored tokens of Σ p·log p, the negative entropy of the prediction."""

    name: ClassVar[str] = "entropy"
    unit: ClassVar[Unit] = "token"
    needs: ClassVar[Needs] = "nothing"

    def loss(self, batch: BatchLike, model: View, reference: View | None) -> Tensor:
        """Negative entropy in nats; −log(vocab) for a model that knows nothing."""
        logp = model.logits(batch)[:, :-1].float().log_softmax(-1)
        return mean_scored((logp.exp() * logp).sum(-1), batch.labels)
