"""The model before unlearning: one number per sequence, computed once, or a frozen copy if its outputs are needed."""

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
    """Return a view of a frozen copy of the model, with passes that record no gradient.

    Args:
        model: model to copy, in its present dtype and on the same device.
        compute: context of every forward pass.
        count: counter of its passes.
    """

    @contextmanager
    def without_gradient() -> Iterator[None]:
        with torch.no_grad(), compute():
            yield

    return ModelView(copy.deepcopy(model).requires_grad_(False), without_gradient, count)


def score(view: ModelView, sequences: Sequence[Encoded], batch_size: int, device: torch.device | str) -> Tensor:
    """Return the log-probability of the scored part of every sequence under the present model.

    Args:
        view: view of the model.
        sequences: sequences in any order; they are scored in batches of similar length.
        batch_size: number of sequences per pass.
        device: device of the batches.

    Returns:
        [sequences] fp32, on the CPU.
    """
    scores = torch.zeros(len(sequences))
    batches = by_length(sequences, range(len(sequences)), batch_size, device)
    for batch, logp in scored_logprobs(view.logits, batches):
        scores[batch.index.cpu()] = logp.sum(1).float().cpu()
    return scores
