"""Likelihoods are those that anybody would compute by hand, bit for bit, and leave the model as it was."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from robust_unlearn_bench.attacks.perplexity import perplexity
from robust_unlearn_bench.training.batching import Batches, by_length
from robust_unlearn_bench.training.encoding import Encoded
from robust_unlearn_bench.training.likelihood import mean_loss, scored_logprobs
from robust_unlearn_bench.training.model_view import ModelView
from robust_unlearn_bench.unlearn.frozen_reference import score
from robust_unlearn_bench.unlearn.select import completion_probability

LENGTHS = ((1, 9), (4, 7), (2, 12), (1, 2), (3, 10))


@pytest.fixture
def sequences() -> list[Encoded]:
    generator = torch.Generator().manual_seed(0)
    drawn = [torch.randint(3, 300, (length,), generator=generator).tolist() for _, length in LENGTHS]
    return [Encoded(tuple(ids), start, i) for i, (ids, (start, _)) in enumerate(zip(drawn, LENGTHS, strict=True))]


def by_hand(model: Any, sequence: Encoded) -> torch.Tensor:
    """−log p of every scored token."""
    ids = torch.tensor(sequence.ids)
    with torch.no_grad():
        logits = model(input_ids=ids[None]).logits[0, :-1].float()
    return torch.nn.functional.cross_entropy(logits, ids[1:], reduction="none")[sequence.start - 1 :]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_mean_loss_and_perplexity(tiny_llama: Callable[..., Any], sequences: list[Encoded], dtype: torch.dtype) -> None:
    model = tiny_llama(dtype=dtype).train()
    model.lm_head.eval()
    losses = [by_hand(model.eval(), s).double() for s in sequences]
    model.train().lm_head.eval()
    expected = sum(float(values.sum()) for values in losses) / sum(len(values) for values in losses)
    assert mean_loss(model, sequences) == expected
    assert (model.training, model.lm_head.training) == (True, False)
    assert all(p.grad is None for p in model.parameters())
    windows = [torch.tensor(s.ids) for s in sequences]
    whole = [by_hand(model.eval(), Encoded(s.ids, 1, s.source)).double() for s in sequences]
    mean = sum(float(values.sum()) for values in whole) / sum(len(values) for values in whole)
    assert perplexity(model, windows) == math.exp(mean)


def test_sequences_are_scored_in_their_own_order(tiny_llama: Callable[..., Any], sequences: list[Encoded]) -> None:
    """Batches of 2 by length hold 3 | 1, 0 | 4, 2; padding changes no score beyond rounding."""
    model = tiny_llama()
    assert [batch.index.tolist() for batch in by_length(sequences, range(5), 2, "cpu")] == [[3, 1], [0, 4], [2]]
    expected = torch.stack([-by_hand(model, s).sum() for s in sequences])
    view = ModelView(model)
    torch.testing.assert_close(score(view, sequences, 2, "cpu"), expected)
    tokens = torch.tensor([length - start for start, length in LENGTHS])
    passes = view.count.forwards
    mean = completion_probability(view, Batches(sequences, 2, 0))
    assert mean == pytest.approx(float((expected / tokens).exp().mean()), rel=1e-5)
    assert view.count.forwards == passes


def test_whoever_reads_on_keeps_gradients(tiny_llama: Callable[..., Any], sequences: list[Encoded]) -> None:
    for _, logp in scored_logprobs(ModelView(tiny_llama()).logits, by_length(sequences, [0, 1], 2, "cpu")):
        assert torch.is_grad_enabled()
        assert not logp.requires_grad
