"""How likely a model makes text: forward passes that take no gradient."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor, nn

from ..objectives.masking import token_logprobs
from .batching import Batch, collate
from .encoding import Encoded
from .model_view import ModelView, evaluating

__all__ = ["mean_loss", "scored_logprobs"]


def scored_logprobs(logits: Callable[[Batch], Tensor], batches: Iterable[Batch]) -> Iterator[tuple[Batch, Tensor]]:
    """Log-probability of every scored token, batch by batch, under the model as it is then.

    Args:
        logits: batch → [batch, seq, vocab].
        batches: the text, in any order.

    Yields:
        A batch and its log-probabilities: [batch, seq − 1] fp32 (or fp64), zero where nothing is scored.
    """
    for batch in batches:
        with torch.no_grad():
            logp = token_logprobs(logits(batch), batch.labels)
        yield batch, logp


def mean_loss(model: nn.Module, sequences: Iterable[Encoded]) -> float:
    """Mean of −log p over the scored tokens of all sequences, with dropout off.

    Sequences are computed one at a time, so that no more than one table of logits, [length, vocabulary], is in memory.

    Args:
        model: a causal language model.
        sequences: at least one.

    Returns:
        A number of at least 0; NaN where the model answers NaN.
    """
    device = next(model.parameters()).device
    total, count = 0.0, 0
    with evaluating(model):
        alone = (collate([sequence], [0], device) for sequence in sequences)
        for batch, logp in scored_logprobs(ModelView(model).logits, alone):
            total -= float(logp.double().sum())
            count += batch.tokens
    return total / count
