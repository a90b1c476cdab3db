"""Batches as large as there is room, and smaller after memory has run out."""

import weakref
from types import SimpleNamespace

import pytest
import torch

from robust_unlearn_bench.harness.batch_room import DEFAULT_TOKENS, FILLED, Room, halved_when_full, in_batches
from robust_unlearn_bench.training.footprint import generating, scoring, sizes


def room(tokens=100, batch_size=1):
    found = Room(SimpleNamespace(batch_size=batch_size, model=torch.nn.Linear(1, 1)), 10, new=False)
    found.tokens = tokens
    return found


def test_room_is_tokens_or_the_rows_that_were_asked_for(monkeypatch):
    assert Room(SimpleNamespace(batch_size="auto", model=torch.nn.Linear(1, 1)), 10, new=True).tokens == DEFAULT_TOKENS
    lengths = [3, 9, 5, 5, 5]
    assert list(in_batches("abcde", lengths, room(20))) == [["b", "c"], ["d", "e", "a"]]
    assert list(in_batches("abcde", lengths, room(20, batch_size=4))) == [["b", "c", "d", "e"], ["a"]]
    assert list(in_batches("abcde", lengths, room(1))) == [["b"], ["c"], ["d"], ["e"], ["a"]]
    monkeypatch.setenv("RUB_BATCH_TOKENS", "77")
    assert Room(SimpleNamespace(batch_size=1, model=torch.nn.Linear(1, 1)), 10, new=True).tokens == 77


@pytest.mark.parametrize("new", [True, False])
def test_batches_grow_into_the_free_memory_of_a_gpu(tiny_llama, monkeypatch, new):
    """What the formula puts into the memory that is free fills it to the allowed fraction, and no more."""
    model = tiny_llama()
    s, free = sizes(model), 50e6
    placed = SimpleNamespace(parameters=lambda: iter([SimpleNamespace(device=torch.device("cuda"))]))
    monkeypatch.setattr("robust_unlearn_bench.harness.batch_room.sizes", lambda found: s)
    monkeypatch.setattr(
        "robust_unlearn_bench.harness.batch_room.free_memory", lambda found: SimpleNamespace(device=free + s.stored)
    )
    found = Room(SimpleNamespace(batch_size=1, model=placed), 64, new=new)
    assert found.tokens > DEFAULT_TOKENS
    used = (generating(s, found.tokens) if new else scoring(s, found.tokens, 64)).device - s.stored
    assert used == pytest.approx(FILLED * free, rel=1e-3)


@pytest.mark.parametrize("batch_size", [1, 8])
def test_later_batches_stay_as_small_as_memory_allowed(batch_size):
    """Rows of 10 tokens, and memory for 3 of them: after 8 → 4 → 2 every batch has two rows."""
    seen = []

    def step(rows):
        seen.append(len(rows))
        if len(rows) > 3:
            raise MemoryError
        return list(rows)

    there, done = room(80, batch_size), []
    for batch in in_batches(range(20), [10] * 20, there):
        done += halved_when_full(step, batch, 10, there)
    assert sorted(done) == list(range(20))
    assert seen == [8, 4, 2, 2, 4, 2, 2, *[2] * 6]


@pytest.mark.parametrize(
    "error",
    [
        lambda: torch.OutOfMemoryError("CUDA out of memory"),
        lambda: RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory"),
        MemoryError,
    ],
    ids=["cuda", "cpu", "python"],
)
def test_a_batch_that_does_not_fit_is_gone_before_its_halves_run(error):
    failed = []

    def step(rows):
        assert not [ref for ref in failed if ref() is not None], "tensors of a failed batch are still alive"
        batch = torch.ones(len(rows))
        if len(rows) > 2:
            failed.append(weakref.ref(batch))
            raise error()
        return [(row, {"size": float(batch.sum())}) for row in rows]

    answers = halved_when_full(step, range(7), 10, room())
    assert [row for row, _ in answers] == list(range(7))
    assert [answer["size"] for _, answer in answers] == [1, 2, 2, 2, 2, 2, 2]
    assert len(failed) == 3  # of 7, 3 and 4 rows


def test_a_single_row_that_does_not_fit_and_a_bug_are_raised():
    def step(rows):
        raise RuntimeError("out of memory" if len(rows) == 1 else "shapes do not match")

    with pytest.raises(RuntimeError, match="shapes"):
        halved_when_full(step, [1, 2], 10, room())
    with pytest.raises(RuntimeError, match="out of memory"):
        halved_when_full(step, [1], 10, room())
