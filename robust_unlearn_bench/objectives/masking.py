"""The one place where labels are shifted and masked."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

__all__ = ["IGNORED", "mean_scored", "scored", "sequence_logprobs", "token_logprobs", "wide"]

IGNORED = -100
"""Label of a position that is not scored (BOS, prompt, padding)."""


def wide(values: Tensor) -> Tensor:
    """Return the values in fp32, or unchanged if they are at least as wide: losses are never computed in 16 bits."""
    return values if values.dtype.itemsize >= 4 else values.float()


def scored(labels: Tensor) -> Tensor:
    """Return a mask of the seq − 1 predictions that is true where a prediction is scored.

    Args:
        labels: [batch, seq] int64, unshifted, `IGNORED` where nothing is scored.

    Returns:
        [batch, seq − 1] bool; position t stands for the prediction of labels[:, t + 1].
    """
    return labels[:, 1:] != IGNORED


def token_logprobs(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the log-probability of the label at every scored position and zero elsewhere, in fp32 (or fp64).

    Args:
        logits: [batch, seq, vocab].
        labels: [batch, seq] int64, unshifted; the shift by one happens here.

    Returns:
        [batch, seq − 1].
    """
    logits = wide(logits[:, :-1])
    targets = labels[:, 1:].to(logits.device)
    nll = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="none")
    return -nll.view_as(targets)


def sequence_logprobs(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the log-probability of each completion given its prompt: the sum over its scored tokens.

    Args:
        logits: [batch, seq, vocab].
        labels: [batch, seq] int64.

    Returns:
        [batch].
    """
    return token_logprobs(logits, labels).sum(1)


def mean_scored(values: Tensor, labels: Tensor) -> Tensor:
    """Return the mean of per-token values over all scored tokens of the batch (not a mean of sequence means).

    Args:
        values: [batch, seq − 1] per-token values.
        labels: [batch, seq] int64.

    Returns:
        Scalar.
    """
    mask = scored(labels).to(values.device)
    return (values * mask).sum() / mask.sum().clamp(min=1)
