"""Representation misdirection: carry the hidden states of forget text to one fixed random direction."""

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
    """u: entries uniform on [0, 1), scaled to length 1.

    Args:
        width: of the hidden states.
        seed: of the draw; a private generator.

    Returns:
        [width] fp32.
    """
    drawn = torch.rand(width, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(drawn, dim=0)


def activation_distance(hidden: Tensor, target: Tensor, labels: Tensor) -> Tensor:
    """Mean over scored tokens and over the width of (hidden − target)².

    Args:
        hidden: [batch, seq, width], any float dtype; compared in fp32 or better.
        target: broadcast against it.
        labels: [batch, seq] int64; a token counts where its own label is scored (no shift: states, not predictions).

    Returns:
        Scalar, at least 0.

    Source: Li et al. 2024, "The WMDP benchmark", section 4; the mean over the width as in their code, which is what
        their constants belong to.
    Departs: padding, BOS and prompts do not count.
    """
    mask = (labels != IGNORED).to(hidden.device)
    states = wide(hidden)
    squares = (states - target.to(states)).square().mean(-1)
    return (squares * mask).sum() / mask.sum().clamp(min=1)


@OBJECTIVES.register("rmu")
@dataclass(frozen=True, slots=True)
class RMU(ObjectiveDefaults):
    """ℓ_f = ‖h_l(x_f) − c·u‖²; to be used with the retain loss `activation` of the same layer, weight 1200.

    Zephyr-7B: layer 7, and only `mlp.down_proj` of layers 5 to 7 are trained (`train` in a recipe names them).

    Attributes:
        layer: l, from 0.
        coefficient: c.
        seed: of u.
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
        """Distance of the hidden states from the control vector."""
        hidden = model.hidden(batch, self.layer)
        target = self.coefficient * control_vector(hidden.shape[-1], self.seed)
        return activation_distance(hidden, target, batch.labels)
