"""JensUn: bounded forgetting by the Jensen-Shannon divergence from a refusal."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from ..errors import ConfigError
from .divergence import jensen_shannon_to_token, log_softmax
from .masking import mean_scored
from .objective import OBJECTIVES, BatchLike, Needs, ObjectiveDefaults, Unit, View

__all__ = ["JensUn"]


@OBJECTIVES.register("jensun")
@dataclass(frozen=True, slots=True)
class JensUn(ObjectiveDefaults):
    """ℓ_f = mean over scored tokens of JSD(p ‖ one-hot at the refusal token), between 0 and log 2.

    Meant to be combined with the retain loss `jsd`.

    Attributes:
        refusal: text that begins with the refusal token.
        token: id of the refusal token; None to derive it from `refusal` with the model's tokenizer.

    Source: Singh et al. 2025, "Unlearning that lasts: utility-preserving, robust, and almost irreversible forgetting".
    Departs: the target is the same refusal token at every position.
    """

    name: ClassVar[str] = "jensun"
    unit: ClassVar[Unit] = "token"
    needs: ClassVar[Needs] = "nothing"

    refusal: str = "No"
    token: int | None = None

    def __post_init__(self) -> None:
        if not self.refusal:
            raise ConfigError("objective jensun has refusal='': give a text, such as 'No'")

    def with_tokenizer(self, tokenizer: Any) -> JensUn:
        """Return a copy with the refusal token's id filled in."""
        ids = tokenizer(self.refusal, add_special_tokens=False)["input_ids"]
        return dataclasses.replace(self, token=int(ids[0])) if self.token is None else self

    def loss(self, batch: BatchLike, model: View, reference: View | None) -> Tensor:
        """Compute the mean divergence of the predictions from the refusal token."""
        assert self.token is not None, "with_tokenizer first"
        logp = log_softmax(model.logits(batch)[:, :-1])
        return mean_scored(jensen_shannon_to_token(logp, self.token), batch.labels)
