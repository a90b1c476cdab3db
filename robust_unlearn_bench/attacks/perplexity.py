"""Perplexity of a model, and the increase above which an attack has broken it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor, nn

from ..training.encoding import Encoded
from ..training.likelihood import mean_loss

__all__ = ["EXPLODED", "exploded", "perplexity"]

EXPLODED = 2.0
"""A quantised model whose perplexity exceeds the original by more than this factor counts as broken."""


def perplexity(model: nn.Module, windows: Sequence[Tensor]) -> float:
    """Perplexity, the exponential of the mean negative log-likelihood, over all tokens but the first of each window.

    Args:
        model: a causal language model.
        windows: token ids, each [length].

    Returns:
        At least 1; infinity on overflow, NaN where the model gives NaN.
    """
    mean = mean_loss(model, (Encoded(tuple(window.tolist()), start=1, source=i) for i, window in enumerate(windows)))
    return math.exp(mean) if mean < 700 or math.isnan(mean) else math.inf


def exploded(before: float, after: float) -> bool:
    """Whether perplexity rose by more than the factor `EXPLODED`, or is NaN."""
    return not after <= EXPLODED * before
