"""Representation misdirection: steer the hidden states of forget text towards one fixed random direction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ..errors import ConfigError
from .masking import IGNORED, wide
from .objective import OBJECTIVES, BatchLike, Needs, ObjectiveDefaults, Unit, View

__all__ = ["RMU", "activation_distance", "control_vector"]


def control_vector(width: int, seed: int) -> Tensor:
    """Draw u, with entries uniform on [0, 1), and scale it to length 1.

    Args:
        width: width of the hidden states.
        seed: seed of the private generator.

    Returns:
        [width] fp32.
    """
    drawn = torch.rand(width, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(drawn, dim=0)


def activation_distance(hidden: Tensor, target: Tensor, labels: Tensor) -> Tensor:
    """Return the mean of (hidden − target)² over the scored tokens and over the width.

    Args:
        hidden: [batch, seq, width] states of any float dtype; compared in fp32 or wider.
        target: states to compare with, broadcast against `hidden`.
        labels: [batch, seq] int64; a token counts if its own label is scored (states are not shifted).

    Returns:
        Scalar, at least 0.

    Source: Li et al. 2024, "The WMDP benchmark", arXiv 2403.03218, section 4; the mean over the width follows their
        code, to which their constants belong.
    Departs: padding, BOS and prompts are excluded.
    """
    mask = (labels != IGNORED).to(hidden.device)
    states = wide(hidden)
    squares = (states - target.to(states)).square().mean(-1)
    return (squares * mask).sum() / mask.sum().clamp(min=1)


@OBJECTIVES.register("rmu")
@dataclass(frozen=True, slots=True)
class RMU(ObjectiveDefaults):
    """ℓ_f = ‖h_l(x_f) − c·u‖²; meant for the retain loss `activation` of the same layer with weight 1200.

    For Zephyr-7B the layer is 7, and only `mlp.down_proj` of layers 5 to 7 is trained (set by `train` in a recipe).

    Attributes:
        layer: number l of the decoder layer, from 0.
        coefficient: length c of the target vector c·u.
        seed: seed that u is drawn from.
    """

    name: ClassVar[str] = "rmu"
    unit: ClassVar[Unit] = "token"
    needs: ClassVar[Needs] = "nothing"

    layer: int = 7
    coefficient: float = 6.5
    seed: int = 0

    def __post_init__(self) -> None:
        if self.layer < 0:
            raise ConfigError(f"objective rmu has layer={self.layer}: give a number from 0")

    def loss(self, batch: BatchLike, model: View, reference: View | None) -> Tensor:
        """Compute the mean squared distance of the hidden states from c·u."""
        hidden = model.hidden(batch, self.layer)
        target = self.coefficient * control_vector(hidden.shape[-1], self.seed)
        return activation_distance(hidden, target, batch.labels)
