"""Batches in a deterministic order: batch number t is a pure function of (sequences, batch size, seed, t)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..errors import ConfigError, DataError
from ..objectives.masking import IGNORED
from ..objectives.objective import Unit
from ..seeding import seed_of
from .encoding import Encoded

__all__ = ["Batch", "Batches", "by_length", "collate"]

POOL = 8
"""Default number of batches in a length-sorted pool; batches are cut from such pools to contain little padding."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Right-padded sequences. Causal attention never reaches padding on the right, so no attention mask is needed.

    Attributes:
        input_ids: [batch, seq] int64.
        labels: [batch, seq] int64, `IGNORED` where nothing is scored (prompt, BOS, padding); not shifted.
        index: [batch] int64, positions of the sequences in their data set.
        companion: batch of companions, one for each sequence; see `Batches`.
        before: [batch] fp32, log-probability of each sequence under the reference; see `Batches`.
    """

    input_ids: Tensor
    labels: Tensor
    index: Tensor
    companion: Batch | None = None
    before: Tensor | None = None

    @property
    def sequences(self) -> int:
        """Number of sequences."""
        return self.input_ids.shape[0]

    @property
    def tokens(self) -> int:
        """Number of scored tokens."""
        return int((self.labels[:, 1:] != IGNORED).sum())

    def count(self, unit: Unit) -> int:
        """Return the number of units that a loss averages over."""
        if unit == "sequence":
            return self.sequences
        if unit == "token":
            return self.tokens
        assert self.companion is not None
        return self.companion.tokens

    def part(self, start: int, stop: int) -> Batch:
        """Return sequences start..stop-1, without the columns that are padding in all of them."""
        used = (self.labels[start:stop] != IGNORED).any(0).nonzero()
        width = int(used[-1]) + 1 if len(used) else self.input_ids.shape[1]
        beside = self.companion.part(start, stop) if self.companion else None
        rows = slice(start, stop)
        before = self.before[rows] if self.before is not None else None
        return Batch(self.input_ids[rows, :width], self.labels[rows, :width], self.index[rows], beside, before)


def collate(sequences: Sequence[Encoded], index: Sequence[int], device: torch.device | str = "cpu") -> Batch:
    """Pad the chosen sequences on the right to the longest of them.

    Args:
        sequences: the whole data set.
        index: positions of the chosen sequences.
        device: device of the tensors.
    """
    chosen = [sequences[i] for i in index]
    width = max(len(s.ids) for s in chosen)
    ids = torch.zeros(len(chosen), width, dtype=torch.int64)
    labels = torch.full((len(chosen), width), IGNORED, dtype=torch.int64)
    for row, sequence in enumerate(chosen):
        ids[row, : len(sequence.ids)] = torch.tensor(sequence.ids)
        labels[row, sequence.start : len(sequence.ids)] = ids[row, sequence.start : len(sequence.ids)]
    return Batch(ids.to(device), labels.to(device), torch.tensor(index).to(device))


def by_length(
    sequences: Sequence[Encoded], index: Iterable[int], batch_size: int, device: torch.device | str
) -> Iterator[Batch]:
    """The chosen sequences once each, the shortest first, so that little of a batch is padding.

    Args:
        sequences: the whole data set.
        index: which of them.
        batch_size: sequences per batch; the last batch may be smaller.
        device: where the tensors go.
    """
    order = sorted(index, key=lambda i: len(sequences[i].ids))
    for at in range(0, len(order), batch_size):
        yield collate(sequences, order[at : at + batch_size], device)


class Batches:
    """An endless sequence of batches: epoch after epoch in a new order, every sequence once per epoch.

    Args:
        sequences: the data set.
        batch_size: sequences per batch; the last batch of an epoch may be smaller.
        seed: seed of the order.
        device: device of the tensors.
        companions: batches of companions, one for each sequence; every batch then carries those of its sequences.
        before: [sequences] log-probabilities under the reference; every batch then carries those of its sequences.
        pool: number of batches in a length-sorted pool; 1 for purely random batches.

    Raises:
        ConfigError: the batch size is not positive.
        DataError: there are no sequences.
    """

    def __init__(
        self,
        sequences: Sequence[Encoded],
        batch_size: int,
        seed: int,
        device: torch.device | str = "cpu",
        companions: Batches | None = None,
        before: Tensor | None = None,
        pool: int = POOL,
    ) -> None:
        if batch_size < 1:
            raise ConfigError(f"batch_size is {batch_size}: give at least 1")
        if not sequences:
            raise DataError("there is no text to train on: the data set is empty")
        self.sequences = sequences
        self.batch_size = batch_size
        self.seed = seed
        self.device = device
        self.companions = companions
        self.before = before
        self.pool = pool
        self.per_epoch = -(-len(sequences) // batch_size)
        self._epoch: tuple[int, list[list[int]]] = (-1, [])

    def indices(self, number: int) -> list[int]:
        """Return the positions of the sequences in batch `number`, counted from 0 over all epochs."""
        epoch, place = divmod(number, self.per_epoch)
        if self._epoch[0] != epoch:
            self._epoch = (epoch, self._order(epoch))
        return self._epoch[1][place]

    def __getitem__(self, number: int) -> Batch:
        """Return batch `number`, padded."""
        return self.batch(self.indices(number))

    def batch(self, index: Sequence[int]) -> Batch:
        """Return a batch of the chosen sequences, with their companions and reference log-probabilities."""
        chosen = collate(self.sequences, index, self.device)
        beside = self.companions.batch(index) if self.companions else None
        before = self.before[list(index)].to(self.device) if self.before is not None else None
        return replace(chosen, companion=beside, before=before)

    def _order(self, epoch: int) -> list[list[int]]:
        """Shuffle, sort pools by length, cut, shuffle the batches; the short batch stays last."""
        generator = torch.Generator().manual_seed(seed_of("order", self.seed, epoch))
        shuffled: list[int] = torch.randperm(len(self.sequences), generator=generator).tolist()
        pool = self.pool * self.batch_size
        sorted_pools = [
            sorted(shuffled[at : at + pool], key=lambda i: len(self.sequences[i].ids))
            for at in range(0, len(shuffled), pool)
        ]
        flat = [i for part in sorted_pools for i in part]
        batches = [flat[at : at + self.batch_size] for at in range(0, len(flat), self.batch_size)]
        last = [batches.pop()] if len(batches[-1]) < self.batch_size else []
        return [batches[i] for i in torch.randperm(len(batches), generator=generator).tolist()] + last
