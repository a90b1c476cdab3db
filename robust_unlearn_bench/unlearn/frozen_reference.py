"""The model before unlearning: one number per sequence, computed once, or a frozen copy where its outputs are needed."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ..objectives.masking import sequence_logprobs
from ..training.batching import collate
from ..training.encoding import Encoded
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
    order = sorted(range(len(sequences)), key=lambda i: len(sequences[i].ids))
    scores = torch.zeros(len(sequences))
    for at in range(0, len(order), batch_size):
        index = order[at : at + batch_size]
        batch = collate(sequences, index, device)
        with torch.no_grad():
            scores[index] = sequence_logprobs(view.logits(batch), batch.labels).float().cpu()
    return scores
