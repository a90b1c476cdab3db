"""Batches of scoring and generation: as large as the free memory allows, smaller after it has run out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import torch

from ..models.weights import out_of_memory
from ..training.footprint import fitting_tokens, sizes
from ..training.placement import free_memory

__all__ = ["DEFAULT_TOKENS", "Room", "halved_when_full", "in_batches"]

T = TypeVar("T")
R = TypeVar("R")

DEFAULT_TOKENS = 8192
"""Padded tokens in a batch on a CPU, where more do not pay."""
MOST_TOKENS = 1 << 18
"""Most padded tokens in a batch on any device."""
FILLED = 0.7
"""Fraction of the free device memory that a batch may fill."""


class Room:
    """How large the next batch may be; less after memory has run out.

    A `--batch_size` above 1 is the number of rows. 1 (lm-eval's default, indistinguishable from an explicit 1) and
    "auto" mean as many rows as fit $RUB_BATCH_TOKENS padded tokens; by default, as many as the free memory of a GPU holds,
    and 8,192 on a CPU.

    Args:
        lm: lm-eval model with its weights in this process.
        width: tokens of the longest row.
        new: whether tokens are generated.
    """

    def __init__(self, lm: Any, width: int, *, new: bool) -> None:
        size = getattr(lm, "batch_size", 1)
        self.rows = size if isinstance(size, int) and size > 1 else 0
        asked = os.environ.get("RUB_BATCH_TOKENS")
        self.tokens = int(asked) if asked else _tokens_in_free_memory(lm.model, width, new)

    def full(self, rows: int, widest: int) -> bool:
        """Return whether a batch of that many rows, padded to `widest` tokens, has no room for one more."""
        return rows >= self.rows if self.rows else widest * (rows + 1) > self.tokens

    def shrink(self, rows: int, widest: int) -> None:
        """Halve the next batches, because one of that size did not fit."""
        if self.rows:
            self.rows = max(1, min(self.rows, rows // 2))
        else:
            self.tokens = min(self.tokens, widest * rows // 2)


def _tokens_in_free_memory(model: torch.nn.Module, width: int, new: bool) -> int:
    """Return the padded tokens of a batch: what a GPU holds beside the model, a default on other devices."""
    if next(model.parameters()).device.type != "cuda":
        return DEFAULT_TOKENS
    free, s = free_memory(model).device, sizes(model)
    assert free is not None, "a GPU has memory of its own"
    return max(1, min(MOST_TOKENS, fitting_tokens(s, FILLED * (free - s.stored), width, new=new)))


def in_batches(rows: Sequence[T], lengths: Sequence[int], room: Room) -> Iterator[list[T]]:
    """Cut rows into batches, the longest first, as large as there is room when each is cut."""
    batch: list[T] = []
    widest = 0
    for i in sorted(range(len(rows)), key=lambda i: -lengths[i]):
        if batch and room.full(len(batch), widest):
            yield batch
            batch = []
        widest = widest if batch else lengths[i]
        batch.append(rows[i])
    if batch:
        yield batch


def halved_when_full(step: Callable[[Sequence[T]], list[R]], rows: Sequence[T], widest: int, room: Room) -> list[R]:
    """Run a batch, or its halves if memory runs out; later batches are then smaller from the start.

    Args:
        step: what to do with a batch.
        rows: the batch.
        widest: padded tokens of its longest row.
        room: size of later batches.

    Returns:
        Results of the rows, in order.
    """
    try:
        return step(rows)
    except (RuntimeError, MemoryError) as error:
        if len(rows) == 1 or not out_of_memory(error):
            raise
    # Outside `except`, the traceback is gone, and with it the references to the failed batch's tensors.
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    room.shrink(len(rows), widest)
    half = len(rows) // 2
    return halved_when_full(step, rows[:half], widest, room) + halved_when_full(step, rows[half:], widest, room)
