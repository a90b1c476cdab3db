"""Perplexity of a model, and the increase above which an attack has broken it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .blockwise import evaluating

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
    device = next(model.parameters()).device
    total, count = 0.0, 0
    with torch.no_grad(), evaluating(model):
        for window in windows:  # one at a time: logits are [length, vocabulary]
            ids = window.to(device)
            logits = model(input_ids=ids[None], use_cache=False).logits[0, :-1]
            losses = nn.functional.cross_entropy(logits.float(), ids[1:], reduction="none")
            total += float(losses.double().sum())
            count += len(losses)
    mean = total / count
    return math.exp(mean) if mean < 700 or math.isnan(mean) else math.inf


def exploded(before: float, after: float) -> bool:
    """Whether perplexity rose by more than the factor `EXPLODED`, or is NaN."""
    return not after <= EXPLODED * before
