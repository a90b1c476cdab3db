"""Batches are a function of the step, and padding changes nothing."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from robust_unlearn_bench.errors import ConfigError, DataError
from robust_unlearn_bench.training.batching import Batches, collate
from robust_unlearn_bench.training.encoding import Encoded


def sequences(*lengths: int) -> list[Encoded]:
    return [Encoded(tuple(range(1, n + 1)), start=1, source=i) for i, n in enumerate(lengths)]


def test_collate_pads_right_and_scores_only_the_scored_part() -> None:
    batch = collate([Encoded((5, 6, 7), start=2, source=0), Encoded((8, 9), start=1, source=1)], [0, 1])
    assert batch.input_ids.tolist() == [[5, 6, 7], [8, 9, 0]]
    assert batch.labels.tolist() == [[-100, -100, 7], [-100, 9, -100]]
    assert (batch.sequences, batch.tokens) == (2, 2)


def test_every_epoch_holds_every_sequence_once_and_the_orders_differ() -> None:
    batches = Batches(sequences(*range(2, 25)), batch_size=4, seed=0)
    assert batches.per_epoch == 6
    epochs = [[batches.indices(e * 6 + t) for t in range(6)] for e in range(2)]
    for epoch in epochs:
        assert Counter(i for batch in epoch for i in batch) == Counter(range(23))
        assert [len(batch) for batch in epoch] == [4, 4, 4, 4, 4, 3]
    assert epochs[0] != epochs[1]


def test_order_depends_on_seed_alone_and_not_on_what_was_asked_before() -> None:
    data = sequences(*[3] * 20)
    one, two = Batches(data, 4, seed=1), Batches(data, 4, seed=1)
    asked = {t: one.indices(t) for t in (7, 0, 3, 12)}
    assert all(two.indices(t) == asked[t] for t in (0, 3, 7, 12))
    assert Batches(data, 4, seed=2).indices(0) != asked[0]


def test_global_generator_is_untouched() -> None:
    state = torch.get_rng_state()
    Batches(sequences(*[3] * 20), 4, seed=1).indices(0)
    assert torch.equal(torch.get_rng_state(), state)


def test_buckets_cut_padding_by_half_or_more() -> None:
    lengths = [(7 * i) % 64 + 2 for i in range(256)]
    data = sequences(*lengths)
    batches = Batches(data, 8, seed=0)
    padded = sum(batches[t].input_ids.numel() for t in range(batches.per_epoch))
    generator = torch.Generator().manual_seed(0)
    order = torch.randperm(256, generator=generator).tolist()
    plain = sum(collate(data, order[at : at + 8]).input_ids.numel() for at in range(0, 256, 8))
    assert padded - sum(lengths) < (plain - sum(lengths)) / 2


def test_part_drops_columns_of_pure_padding() -> None:
    batch = collate(sequences(5, 3, 2), [0, 1, 2])
    part = batch.part(1, 3)
    assert part.input_ids.tolist() == [[1, 2, 3], [1, 2, 0]]
    assert part.index.tolist() == [1, 2]


def test_nothing_to_train_on() -> None:
    with pytest.raises(DataError, match="empty"):
        Batches([], 4, seed=0)
    with pytest.raises(ConfigError, match="batch_size is 0"):
        Batches(sequences(3), 0, seed=0)
