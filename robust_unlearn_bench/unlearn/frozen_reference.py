"""The model before unlearning: one number per sequence, computed once, or a frozen copy if its outputs are needed."""

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
    order = sorted(range(len(sequences)), key=lambda i: len(sequences[i].ids))
    scores = torch.zeros(len(sequences))
    for at in range(0, len(order), batch_size):
        index = order[at : at + batch_size]
        batch = collate(sequences, index, device)
        with torch.no_grad():
            scores[index] = sequence_logprobs(view.logits(batch), batch.labels).float().cpu()
    return scores
