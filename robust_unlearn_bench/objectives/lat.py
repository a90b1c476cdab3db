"""LAT: forgetting that holds while an adversary pushes the hidden states back towards the forget text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from ..errors import ConfigError
from .masking import mean_scored, token_logprobs
from .objective import OBJECTIVES, BatchLike, OnBase, View

__all__ = ["LAT", "adversary", "within"]


def within(shift: Tensor, length: Tensor) -> Tensor:
    """Return the nearest shift with a norm of at most `length` at every token.

    Args:
        shift: [batch, seq, width] shift of the hidden states.
        length: [batch, seq] largest allowed norms, above 0.
    """
    factor: Tensor = (length / shift.norm(dim=-1).clamp(min=1e-12)).clamp(max=1.0)
    return shift * factor[..., None]


def adversary(model: View, batch: BatchLike, layer: int, radius: float, steps: int) -> Tensor:
    """Find δ with ‖δ_t‖ ≤ radius·‖h_t‖ that makes the forget text likely when added to the states h of one layer.

    This is projected gradient descent on the text's cross-entropy, starting at zero: each step moves every token's δ
    against its own gradient by 2.5/steps of its radius, then projects it back into the ball.

    Args:
        model: model under attack; its parameters receive no gradient.
        batch: batch of forget text.
        layer: number of the decoder layer, from 0.
        radius: largest norm of δ_t as a fraction of the norm of h_t.
        steps: number of descent steps.

    Returns:
        [batch, seq, width] δ in fp32 (or fp64), detached.

    Source: Sheshadri et al. 2024, "Latent adversarial training improves robustness to persistent harmful behaviors in
        LLMs", arXiv 2407.15549; Madry et al. 2018, arXiv 1706.06083, for the descent and its step size.
    Departs: only one layer is shifted, and the radius is relative to the norm of each hidden state rather than one
        constant per model.
    """
    with torch.no_grad():
        states = model.hidden(batch, layer)
        states = states if states.dtype.itemsize >= 4 else states.float()
    length = radius * states.norm(dim=-1)
    shift = torch.zeros_like(states)
    with torch.enable_grad():
        for _ in range(steps):
            shift.requires_grad_()
            logits = model.shifted(layer, shift).logits(batch)
            loss = -mean_scored(token_logprobs(logits, batch.labels), batch.labels)
            slope = model.gradient(loss, shift)
            unit = slope / slope.norm(dim=-1, keepdim=True).clamp(min=1e-30)
            shift = within(shift.detach() - (2.5 / steps) * length[..., None] * unit, length)
    return shift


@OBJECTIVES.register("lat")
@dataclass(frozen=True, slots=True)
class LAT(OnBase):
    """ℓ_f = the base loss while `adversary` shifts the states of one layer (targeted latent adversarial training).

    The shift is treated as a constant: no gradient flows through its dependence on the weights.

    Attributes:
        base: name of the base loss, which keeps its default hyper-parameters.
        layer: number of the decoder layer with the shifted states, from 0.
        radius: largest norm of the shift as a fraction of the norm of each hidden state.
        inner_steps: number of steps of the adversary; each costs one forward and one backward pass.

    Source: Sheshadri et al. 2024, arXiv 2407.15549, section 3, and their application to unlearning.
    Departs: only one layer is shifted, by a fraction of the norm of each hidden state rather than by one constant per
        model.
    """

    name: ClassVar[str] = "lat"
    whole_weights: ClassVar[bool] = True

    base: Literal["npo", "simnpo", "grad_diff"] = "npo"
    layer: int = 7
    radius: float = 0.1
    inner_steps: int = 6

    def __post_init__(self) -> None:
        if self.layer < 0:
            raise ConfigError(f"objective lat has layer={self.layer}: give a number from 0")
        for key, value in (("radius", self.radius), ("inner_steps", self.inner_steps)):
            if not value > 0:
                raise ConfigError(f"objective lat has {key}={value}: give a number above 0")

    def loss(self, batch: BatchLike, model: View, reference: View | None) -> Tensor:
        """Compute the base loss of the forget sequences with shifted hidden states."""
        shift = adversary(model, batch, self.layer, self.radius, self.inner_steps)
        return self.inner.loss(batch, model.shifted(self.layer, shift), reference)
