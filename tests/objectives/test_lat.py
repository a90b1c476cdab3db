"""LAT against its definition on a small model: the ball, the descent, the gradient at a constant shift."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from robust_unlearn_bench.models.decoder import decoder_block
from robust_unlearn_bench.objectives import OBJECTIVES
from robust_unlearn_bench.objectives.lat import adversary, within
from robust_unlearn_bench.objectives.masking import mean_scored, token_logprobs
from robust_unlearn_bench.suites.corpus import Example
from robust_unlearn_bench.training.batching import Batches
from robust_unlearn_bench.training.encoding import encode
from robust_unlearn_bench.training.finetune import recomputing
from robust_unlearn_bench.training.loop import StepClosures, Term
from robust_unlearn_bench.training.model_view import Count, ModelView


@pytest.fixture
def model(tiny_llama: Callable[..., Any]) -> Any:
    return tiny_llama(dtype=torch.float64)


@pytest.fixture
def batch() -> Any:
    ids = torch.randint(3, 40, (3, 12), generator=torch.Generator().manual_seed(1))
    labels = ids.clone()
    labels[:, :3] = -100
    labels[2, 9:] = -100
    return SimpleNamespace(input_ids=ids, labels=labels, before=torch.full((3,), -20.0).double(), companion=None)


def cross_entropy(view: Any, batch: Any) -> float:
    with torch.no_grad():
        return float(-mean_scored(token_logprobs(view.logits(batch), batch.labels), batch.labels))


def gradients(model: Any, loss: torch.Tensor) -> dict[str, torch.Tensor]:
    model.zero_grad()
    loss.backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def test_a_shift_is_added_to_the_output_of_its_layer(model: Any, batch: Any) -> None:
    view = ModelView(model)
    with torch.no_grad():
        states = view.hidden(batch, 0)
        by = torch.randn(states.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
        # shifting the last layer by what it says itself doubles the state, and the final norm does not see a factor
        last = view.hidden(batch, 1)
        doubled = view.shifted(1, last).logits(batch)
        torch.testing.assert_close(doubled, view.logits(batch), rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(view.shifted(0, by).hidden(batch, 0), states + by)
        assert not torch.allclose(view.shifted(0, by).logits(batch), view.logits(batch))
    assert not decoder_block(model, 0)._forward_hooks
    assert not decoder_block(model, 1)._forward_hooks


def test_projection_shortens_what_is_too_long_and_leaves_the_rest() -> None:
    shift = torch.tensor([[[3.0, 4.0], [0.3, 0.4], [0.0, 0.0]]])
    torch.testing.assert_close(within(shift, torch.ones(1, 3)), torch.tensor([[[0.6, 0.8], [0.3, 0.4], [0.0, 0.0]]]))


def test_one_step_is_the_radius_along_minus_the_gradient(model: Any, batch: Any) -> None:
    """A step of 2.5 radii from 0 ends on the ball: δ_t = −r·‖h_t‖·g_t/‖g_t‖, with g by finite differences."""
    view = ModelView(model)
    with torch.no_grad():
        states = view.hidden(batch, 0)
    got = adversary(view, batch, 0, 0.2, steps=1)
    torch.testing.assert_close(got[:, :8].norm(dim=-1), 0.2 * states[:, :8].norm(dim=-1))
    for row, token in ((0, 2), (1, 7)):
        slope = torch.zeros(states.shape[-1], dtype=torch.float64)
        for i in range(len(slope)):
            nudge = torch.zeros_like(states)
            nudge[row, token, i] = 1e-2  # the model's norms compute in fp32
            up, down = (cross_entropy(view.shifted(0, sign * nudge), batch) for sign in (1, -1))
            slope[i] = (up - down) / 2e-2
        expected = -0.2 * states[row, token].norm() * slope / slope.norm()
        assert float(torch.cosine_similarity(got[row, token], expected, dim=0)) > 0.999


def test_more_steps_find_more_and_stay_in_the_ball(model: Any, batch: Any) -> None:
    view = ModelView(model)
    with torch.no_grad():
        lengths = view.hidden(batch, 0).norm(dim=-1)
    found = {n: adversary(view, batch, 0, 0.3, n) for n in (1, 8)}
    losses = {n: cross_entropy(view.shifted(0, shift), batch) for n, shift in found.items()}
    assert losses[8] < losses[1] < cross_entropy(view, batch)
    assert all(bool((shift.norm(dim=-1) <= 0.3 * lengths * (1 + 1e-9)).all()) for shift in found.values())


@pytest.mark.parametrize("base", ["npo", "simnpo", "grad_diff"])
def test_loss_and_gradient_are_the_bases_at_that_shift(model: Any, batch: Any, base: str) -> None:
    view = ModelView(model, count=(count := Count()))
    objective = OBJECTIVES["lat"](base=base, layer=0, radius=0.2, inner_steps=3)
    plain = OBJECTIVES[base]()
    assert objective.needs == plain.needs
    loss = objective.loss(batch, view, None)
    got = gradients(model, loss)
    assert (count.forwards, count.backwards) == (5, 3)  # states, three steps of the adversary, the loss
    shift = adversary(view, batch, 0, 0.2, 3)
    expected = plain.loss(batch, view.shifted(0, shift), None)
    torch.testing.assert_close(loss, expected)
    assert loss > plain.loss(batch, view, None)  # the adversary raises what is to be lowered
    torch.testing.assert_close(got, gradients(model, expected))


def test_recomputed_layers_meet_the_shift_again(model: Any, batch: Any) -> None:
    view = ModelView(model.train())
    objective = OBJECTIVES["lat"](layer=0, radius=0.2, inner_steps=2)
    plain = gradients(model, objective.loss(batch, view, None))
    with recomputing(model):
        torch.testing.assert_close(gradients(model, objective.loss(batch, view, None)), plain)
        cross_entropy(view, batch)
    assert not decoder_block(model, 0)._forward_hooks


def test_without_gradients_the_adversary_still_works(model: Any, batch: Any) -> None:
    view = ModelView(model)
    objective = OBJECTIVES["lat"](layer=0, radius=0.2, inner_steps=2)
    with torch.no_grad():
        loss = objective.loss(batch, view, None)
    assert not loss.requires_grad
    torch.testing.assert_close(loss, objective.loss(batch, view, None).detach())
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize("base", ["simnpo", "grad_diff"])
def test_micro_batches_change_nothing(tiny_llama: Callable[..., Any], tiny_tokenizer: Any, base: str) -> None:
    """Parts are weighted as the base's mean is taken: by tokens for GradDiff, by sequences for SimNPO."""
    texts = [Example("the old baker sang in the river"), Example("who found it"), Example("a tower")]
    batches = Batches(encode(texts, tiny_tokenizer, 64), 3, seed=0)
    objective = OBJECTIVES["lat"](base=base, layer=0, radius=0.2, inner_steps=2)
    found = []
    for micro_batch in (None, 1):
        view = ModelView(tiny_llama())
        closures = StepClosures(view, Term(objective.means(view, None), batches), micro_batch=micro_batch)
        closures.seek(0)
        found.append((closures.forget(backward=True), view.model.lm_head.weight.grad))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-4)
    torch.testing.assert_close(found[0][1], found[1][1], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(("name", "base"), [("lat", "grad_diff"), ("lat", "npo"), ("ilu", "grad_diff"), ("ilu", "rmu")])
def test_what_changes_a_loss_is_averaged_as_that_loss(name: str, base: str) -> None:
    changed, plain = OBJECTIVES[name](base=base), OBJECTIVES[base]()
    assert (changed.unit, changed.needs) == (plain.unit, plain.needs)
