"""Perplexity on probe text before and after an attack, and what counts as an explosion."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor, nn

from ..training.encoding import Encoded
from ..training.likelihood import mean_loss

__all__ = ["EXPLODED", "exploded", "perplexity"]

EXPLODED = 2.0
"""A quantised or pruned model whose perplexity is more than this many times the original is broken, not attacked."""


def perplexity(model: nn.Module, windows: Sequence[Tensor]) -> float:
    """Perplexity: exp of the mean negative log-likelihood of every token after the first of its window.

    Args:
        model: a causal language model.
        windows: token ids, each [length].

    Returns:
        A number ≥ 1; infinity where it overflows, NaN where the model answers NaN.
    """
    mean = mean_loss(model, (Encoded(tuple(window.tolist()), start=1, source=i) for i, window in enumerate(windows)))
    return math.exp(mean) if mean < 700 or math.isnan(mean) else math.inf


def exploded(before: float, after: float) -> bool:
    """Whether perplexity rose by more than `EXPLODED` times, or is no number any more."""
    return not after <= EXPLODED * before
