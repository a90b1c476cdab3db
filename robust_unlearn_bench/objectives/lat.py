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
    """The nearest shift of which every token's part is no longer than allowed.

    Args:
        shift: [batch, seq, width].
        length: [batch, seq], above 0.
    """
    factor: Tensor = (length / shift.norm(dim=-1).clamp(min=1e-12)).clamp(max=1.0)
    return shift * factor[..., None]


def adversary(model: View, batch: BatchLike, layer: int, radius: float, steps: int) -> Tensor:
    """δ with ‖δ_t‖ ≤ radius·‖h_t‖ that makes the forget text likely when it is added to the states h of one layer.

    Projected gradient descent on the text's cross-entropy, from zero: every step moves each token's δ by 2.5/steps of
    its radius along its own gradient, then back into the ball.

    Args:
        model: under attack; its parameters get no gradient.
        batch: forget text.
        layer: number of the decoder layer, from 0.
        radius: as a share of the length of the state.
        steps: of the descent.

    Returns:
        [batch, seq, width] fp32 (or fp64), detached.

    Source: Sheshadri et al. 2024, "Latent adversarial training improves robustness to persistent harmful behaviors in
        LLMs"; Madry et al. 2018 for the descent and its step.
    Departs: one layer; the radius is relative to each state's length, not one number for a model.
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
    """ℓ_f = the base's forget loss while `adversary` shifts the states of one layer (targeted latent adversarial training).

    The shift counts as a constant: its own dependence on the weights is not differentiated.

    Attributes:
        base: the forget loss, with its default hyper-parameters.
        layer: whose states are shifted, from 0.
        radius: length of the shift as a share of the state's.
        inner_steps: of the adversary; each costs a forward and a backward pass.

    Source: Sheshadri et al. 2024, section 3, and their use of it for unlearning.
    Departs: one layer is shifted, by a share of each state's length rather than by one number for a model.
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
        """Base loss of the forget sequences at the shifted states."""
        shift = adversary(model, batch, self.layer, self.radius, self.inner_steps)
        return self.inner.loss(batch, model.shifted(self.layer, shift), reference)
