"""However a batch is shared out over passes and processes, its loss and gradient are those of the whole batch."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from robust_unlearn_bench.objectives import OBJECTIVES, RETAIN_LOSSES
from robust_unlearn_bench.training.batching import Batches
from robust_unlearn_bench.training.encoding import Encoded
from robust_unlearn_bench.training.loop import StepClosures, Term
from robust_unlearn_bench.training.model_view import ModelView
from robust_unlearn_bench.training.ranks import Ranks

WORDS = 11

CASES: list[tuple[Any, str, dict[str, Any]]] = [
    (OBJECTIVES, "grad_ascent", {}),
    (OBJECTIVES, "grad_diff", {}),
    (OBJECTIVES, "npo", {}),
    (OBJECTIVES, "npo", {"level": "token_mean"}),
    (OBJECTIVES, "npo", {"level": "muse_logits"}),
    (OBJECTIVES, "simnpo", {"gamma": 0.5}),
    (OBJECTIVES, "rmu", {"layer": 0}),
    (OBJECTIVES, "dpo", {}),
    (OBJECTIVES, "idk", {}),
    (OBJECTIVES, "undial", {"strength": 3.0}),
    (OBJECTIVES, "jensun", {"token": 2}),
    (OBJECTIVES, "ilu", {"weight": 30.0}),
    (OBJECTIVES, "ilu", {"weight": 30.0, "base": "grad_diff"}),
    (OBJECTIVES, "lat", {"layer": 0, "inner_steps": 2}),
    (OBJECTIVES, "lat", {"layer": 0, "inner_steps": 2, "base": "grad_diff"}),
    (RETAIN_LOSSES, "nll", {}),
    (RETAIN_LOSSES, "kl", {}),
    (RETAIN_LOSSES, "jsd", {}),
    (RETAIN_LOSSES, "activation", {"layer": 0}),
]


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.mix = nn.Linear(width, width)

    def forward(self, states: Tensor) -> Tensor:
        past = states.cumsum(1) / torch.arange(1, states.shape[1] + 1)[:, None]
        return states + torch.tanh(self.mix(past))


class Model(nn.Module):
    """A causal language model in float64 throughout."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.words = nn.Embedding(WORDS, 6)
        self.layers = nn.ModuleList(Block(6) for _ in range(2))
        self.head = nn.Linear(6, WORDS)
        self.double()
        generator = torch.Generator().manual_seed(seed)
        for p in self.parameters():
            p.data.normal_(generator=generator)

    def get_input_embeddings(self) -> nn.Module:
        return self.words

    def forward(self, input_ids: Tensor, use_cache: bool) -> Any:
        states = self.words(input_ids)
        for layer in self.layers:
            states = layer(states)
        return SimpleNamespace(logits=self.head(states))


def sequences(shape: list[tuple[int, int]], seed: int) -> list[Encoded]:
    """Random ones of (prompt, completion) tokens."""
    generator = torch.Generator().manual_seed(seed)
    drawn = [torch.randint(WORDS, (prompt + rest,), generator=generator).tolist() for prompt, rest in shape]
    return [
        Encoded(tuple(ids), start=prompt, source=n)
        for n, (ids, (prompt, _)) in enumerate(zip(drawn, shape, strict=True))
    ]


def batch_of_five() -> Batches:
    """Few tokens to forget where the companion has many, and the other way round."""
    before = torch.linspace(-9, -3, 5, dtype=torch.float64)
    beside = Batches(sequences([(1, 9), (4, 2), (2, 5), (1, 1), (3, 3)], 1), 5, 0, before=before - 1)
    return Batches(sequences([(2, 1), (1, 8), (3, 2), (1, 5), (2, 4)], 0), 5, 0, companions=beside, before=before)


class Joined(Ranks):
    """One of several processes, played by threads."""

    def sum(self, value: float) -> float:
        shared, barrier = BOARDS[self.world]
        shared[self.rank] = value
        barrier.wait(timeout=60)
        total = sum(shared)
        barrier.wait(timeout=60)
        return total


BOARDS = {world: ([0.0] * world, threading.Barrier(world)) for world in (1, 2, 4)}


def loss_and_gradient(objective: Any, world: int = 1, micro_batch: int | None = None) -> tuple[float, list[Tensor]]:
    """As FSDP2 leaves them: the loss is the same on every rank, the gradients are averaged."""

    def one(rank: int) -> tuple[float, list[Tensor]]:
        model = Model(seed=2)
        view, reference = ModelView(model), ModelView(Model(seed=3).requires_grad_(False))
        term = Term(objective.means(view, reference), batch_of_five(), weight=0.7)
        closures = StepClosures(view, term, None, micro_batch, Joined(rank, world))
        closures.seek(0)
        loss = closures.forget(backward=True)
        assert closures.losses["forget"] == pytest.approx(loss / 0.7, rel=1e-12)
        return loss, [torch.zeros_like(p) if p.grad is None else p.grad for p in model.parameters()]

    with ThreadPoolExecutor(world) as threads:
        found = list(threads.map(one, range(world)))
    assert len({loss for loss, _ in found}) == 1
    gradients = zip(*(gradient for _, gradient in found), strict=True)
    return found[0][0], [torch.stack(parts).mean(0) for parts in gradients]


@pytest.mark.parametrize(("world", "micro_batch"), [(1, 1), (1, 2), (1, 3), (2, None), (2, 2), (4, None), (4, 1)])
@pytest.mark.parametrize(
    ("registry", "name", "options"), CASES, ids=[f"{name}-{'-'.join(map(str, o.values()))}" for _, name, o in CASES]
)
def test_parts_add_up_to_the_batch(
    registry: Any, name: str, options: dict[str, Any], world: int, micro_batch: int | None
) -> None:
    """Five sequences are uneven over 2 processes; over 4, the last has none."""
    objective = registry[name](**options)
    expected, slopes = loss_and_gradient(objective)
    loss, gradient = loss_and_gradient(objective, world, micro_batch)
    assert loss == pytest.approx(expected, rel=1e-12)
    torch.testing.assert_close(gradient, slopes, rtol=1e-9, atol=1e-12)
    view, reference = ModelView(Model(seed=2)), ModelView(Model(seed=3))
    assert expected == pytest.approx(0.7 * objective.loss(batch_of_five()[0], view, reference).item(), rel=1e-12)


def test_every_registered_loss_is_tested_here() -> None:
    assert {name for registry, name, _ in CASES if registry is OBJECTIVES} == set(OBJECTIVES)
    assert {name for registry, name, _ in CASES if registry is RETAIN_LOSSES} == set(RETAIN_LOSSES)
