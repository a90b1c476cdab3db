"""SAM and RS against twins, on losses with a known gradient."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from robust_unlearn_bench.objectives.objective import Mean
from robust_unlearn_bench.optimizers import configure
from robust_unlearn_bench.optimizers.directions import Direction
from robust_unlearn_bench.optimizers.smoothed import _Sharpest, _Smoothed, _Tampered


def start_of(losses: Any) -> dict[str, torch.Tensor]:
    return {n: p.detach().clone() for n, p in losses.parameters.items()}


def test_sam_takes_the_forget_gradient_uphill_and_the_retain_gradient_at_home(quadratic: Any) -> None:
    losses = quadratic()
    w = start_of(losses)
    _Sharpest(rho=0.3)(losses, losses.parameters, 0)
    g = {n: losses.a[n] * (w[n] - 1) for n in w}
    norm = torch.sqrt(sum(x.square().sum() for x in g.values()))
    for n, p in losses.parameters.items():
        uphill = w[n] + 0.3 * g[n] / norm
        torch.testing.assert_close(p.grad, losses.a[n] * (uphill - 1) + losses.b[n] * w[n], rtol=1e-5, atol=1e-6)
        assert torch.equal(p, w[n])
    assert (losses.forwards, losses.backwards) == (3, 3)


def test_rs_averages_forget_gradients_around_and_takes_the_retain_gradient_at_home(quadratic: Any) -> None:
    losses = quadratic()
    w = start_of(losses)
    _Smoothed(samples=3, sigma=0.2, seed=9)(losses, losses.parameters, 5)
    noise = [Direction("gaussian", 9, 5, i, losses.parameters) for i in range(3)]
    for n, p in losses.parameters.items():
        around = sum(losses.a[n] * (w[n] + 0.2 * z[n] - 1) for z in noise) / 3
        torch.testing.assert_close(p.grad, around + losses.b[n] * w[n], rtol=1e-5, atol=1e-6)
        assert torch.equal(p, w[n])
    assert (losses.forwards, losses.backwards) == (4, 4)


def test_tar_takes_the_forget_gradient_where_relearning_ends_and_the_retain_gradient_at_home(quadratic: Any) -> None:
    """Sign descent on ½·b·(w + 1)²: every weight walks to −1 by .01 a step (and would turn round there)."""
    losses = quadratic()
    w = start_of(losses)
    _Tampered(inner_steps=3, inner_lr=0.01)(losses, losses.parameters, 0)
    for n, p in losses.parameters.items():
        attacked = w[n]
        for _ in range(3):
            attacked = attacked - 0.01 * (losses.b[n] * (attacked + 1)).sign()
        torch.testing.assert_close(p.grad, losses.a[n] * (attacked - 1) + losses.b[n] * w[n], rtol=1e-5, atol=1e-6)
        assert torch.equal(p, w[n])
    assert (losses.forwards, losses.backwards) == (5, 5)


@pytest.mark.parametrize("name", ["sam", "rs", "tar"])
def test_weights_come_back_bit_for_bit_in_bf16_and_after_an_interruption(quadratic: Any, name: str) -> None:
    losses = quadratic(torch.bfloat16)
    w = start_of(losses)
    rule = configure(name, {}).build(losses.parameters, clip=1.0, seed=0)
    rule.schedule(0.0)
    for _ in range(20):
        rule.step(losses)
    assert all(torch.equal(p, w[n]) for n, p in losses.parameters.items())
    looked = "relearn" if name == "tar" else "forget"
    loss, calls = getattr(losses, looked), []

    def interrupted(backward: bool) -> float:
        calls.append(backward)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return float(loss(backward))

    setattr(losses, looked, interrupted)
    with pytest.raises(KeyboardInterrupt):
        rule.step(losses)
    assert all(torch.equal(p, w[n]) for n, p in losses.parameters.items())


def test_sam_without_a_gradient_stays(quadratic: Any) -> None:
    """‖g_f‖ = 0: nowhere is uphill, and nothing is divided by zero."""
    losses = quadratic()
    with torch.no_grad():
        for p in losses.parameters.values():
            p.fill_(1.0)
    _Sharpest(rho=0.3)(losses, losses.parameters, 0)
    for n, p in losses.parameters.items():
        torch.testing.assert_close(p.grad, losses.b[n])


def test_relearning_is_the_cross_entropy_of_the_forget_text_however_a_batch_is_cut(
    tiny_llama: Any, tiny_tokenizer: Any
) -> None:
    """What TAR's inner attack lowers: the mean over the batch's scored tokens, whatever the forget loss is."""
    from robust_unlearn_bench.suites.corpus import Example
    from robust_unlearn_bench.training.batching import Batches
    from robust_unlearn_bench.training.encoding import encode
    from robust_unlearn_bench.training.loop import StepClosures, Term
    from robust_unlearn_bench.training.model_view import ModelView

    texts = [Example("the old baker sang in the river"), Example("who found it"), Example(" iron", prompt="a tower of")]
    batches = Batches(encode(texts, tiny_tokenizer, 64), 3, seed=0)
    model = tiny_llama()
    view = ModelView(model)
    logits = view.logits(batches[0])[:, :-1]
    expected = torch.nn.functional.cross_entropy(logits.flatten(0, 1), batches[0].labels[:, 1:].flatten())
    expected.backward()
    gradient = model.lm_head.weight.grad.clone()
    for micro_batch in (None, 1):
        model.zero_grad()
        closures = StepClosures(
            view, Term((Mean(lambda part: part.labels.sum() * 0.0),), batches), micro_batch=micro_batch
        )
        closures.seek(0)
        assert closures.relearn(backward=True) == pytest.approx(float(expected.detach()), rel=1e-5)
        torch.testing.assert_close(model.lm_head.weight.grad, gradient, rtol=1e-4, atol=1e-6)
