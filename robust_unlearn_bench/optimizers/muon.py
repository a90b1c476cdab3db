"""Muon: orthogonalised momentum for hidden matrices, AdamW for the rest."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from ..errors import ConfigError, ModelError
from ..models.shards import refuse_shards
from .adam import adamw
from .checks import fraction, positive
from .grade import Facts
from .optimizer import OPTIMIZERS
from .rule import Backward, GradientRule, Parameters, Rule

__all__ = ["Muon", "hidden_matrices"]


def hidden_matrices(parameters: Parameters) -> set[str]:
    """Return the names of two-dimensional weights inside numbered layers, without embeddings, head and norms."""
    return {name for name, p in parameters.items() if p.ndim == 2 and re.search(r"\.\d+\.", name)}


@OPTIMIZERS.register("muon", grade="first")
@dataclass(frozen=True, slots=True)
class Muon:
    """Muon with the update scaled to AdamW's root mean square, so that AdamW's learning rates carry over.

    Attributes:
        lr: learning rate of both Muon and AdamW.
        momentum: Nesterov momentum of Muon.

    Source: Jordan et al. 2024; Liu et al. 2025, "Muon is scalable for LLM training", arXiv 2502.16982, for the
        scaling; torch.optim.Muon.
    Departs: no weight decay.
    """

    name: ClassVar[str] = "muon"
    facts: ClassVar[Facts] = Facts(rule="w −= η·orthogonalised m", state_bytes=4)
    lr: float = 1e-5
    momentum: float = 0.95

    def __post_init__(self) -> None:
        positive(self.name, lr=self.lr)
        fraction(self.name, momentum=self.momentum)

    def build(self, parameters: Parameters, *, clip: float | None, seed: int) -> Rule:
        """Build a rule that feeds backpropagated gradients to Muon and AdamW."""
        refuse_shards("optimizer muon", parameters)
        muon: Any = getattr(torch.optim, "Muon", None)
        if muon is None:
            raise ConfigError(
                f"optimizer muon needs torch 2.9 or newer, but {torch.__version__} is installed: upgrade torch"
            )
        hidden = hidden_matrices(parameters)
        if not hidden:
            raise ModelError("optimizer muon finds no matrix inside a numbered layer of this model: choose adam")
        matrices = [p for name, p in parameters.items() if name in hidden]
        others = [p for name, p in parameters.items() if name not in hidden]
        updates = [muon(matrices, lr=self.lr, momentum=self.momentum, weight_decay=0.0, adjust_lr_fn="match_rms_adamw")]
        updates += [adamw(others, self.lr, (0.9, 0.999), 1e-8)] if others else []
        return GradientRule(parameters, Backward(), *updates, clip=clip)
