"""The model before unlearning: one number per sequence, computed once, or a frozen copy where its outputs are needed."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ..training.batching import by_length
from ..training.encoding import Encoded
from ..training.likelihood import scored_logprobs
from ..training.model_view import Count, ModelView

__all__ = ["frozen", "score"]


def frozen(model: nn.Module, compute: Callable[[], AbstractContextManager[Any]], count: Count) -> ModelView:
    """A copy of the model as it is now, whose passes take no gradient.

    Args:
        model: copied in its present dtype, onto the same device.
        compute: context of every forward pass.
        count: where its passes are counted.
    """

    @contextmanager
    def without_gradient() -> Iterator[None]:
        with torch.no_grad(), compute():
            yield

    return ModelView(copy.deepcopy(model).requires_grad_(False), without_gradient, count)


def score(view: ModelView, sequences: Sequence[Encoded], batch_size: int, device: torch.device | str) -> Tensor:
    """Log-probability of the scored part of every sequence under the model as it is now.

    Args:
        view: the model.
        sequences: in any order; they are scored in batches of similar length.
        batch_size: sequences per pass.
        device: where the batches go.

    Returns:
        [sequences] fp32, on the CPU.
    """
    scores = torch.zeros(len(sequences))
    batches = by_length(sequences, range(len(sequences)), batch_size, device)
    for batch, logp in scored_logprobs(view.logits, batches):
        scores[batch.index.cpu()] = logp.sum(1).float().cpu()
    return scores
