"""Sophia-G against a twin, and its curvature estimate against the Hessian it estimates."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from robust_unlearn_bench.objectives.objective import Mean
from robust_unlearn_bench.optimizers import configure


def test_twin(quadratic: Any) -> None:
    """Liu et al. 2023, algorithm 3, with algorithm 2 every k = 3 steps; the fixture's ĝ is a, on B = 4 labels."""
    losses = quadratic()
    options = {"lr": 0.1, "beta1": 0.9, "beta2": 0.8, "rho": 0.5, "every": 3}
    rule = configure("sophia", options).build(losses.parameters, clip=None, seed=0)
    w = {n: p.detach().clone() for n, p in losses.parameters.items()}
    m = {n: torch.zeros_like(x) for n, x in w.items()}
    h = {n: torch.zeros_like(x) for n, x in w.items()}
    for step in range(7):
        rule.step(losses)
        for n in w:
            if step % 3 == 0:
                h[n] = 0.8 * h[n] + 0.2 * 4 * losses.a[n] * losses.a[n]
            m[n] = 0.9 * m[n] + 0.1 * (losses.a[n] * (w[n] - 1) + losses.b[n] * w[n])
            ratio = (m[n] / torch.maximum(0.5 * h[n], torch.tensor(1e-12))).clamp(-1, 1)
            w[n] = w[n] - 0.1 * ratio
            torch.testing.assert_close(losses.parameters[n].detach(), w[n], rtol=1e-5, atol=1e-6)
    assert losses.forwards == 7 * 2 + 3
    assert losses.backwards == 7 * 2 + 3


def test_sampled_labels_estimate_the_gauss_newton_diagonal(tiny_llama: Any, tiny_tokenizer: Any) -> None:
    """For the bias-like row of one logit: E[B·ĝ²] of a mean over B labels is Σ_t p_t(1 − p_t)/B, the Hessian of the mean CE.

    A constant added to logit v at every position has gradient mean(p_v − 1[y = v]) and Hessian mean p_v(1 − p_v).
    """
    from robust_unlearn_bench.suites.corpus import Example
    from robust_unlearn_bench.training.batching import Batches
    from robust_unlearn_bench.training.encoding import encode
    from robust_unlearn_bench.training.loop import StepClosures, Term
    from robust_unlearn_bench.training.model_view import ModelView

    model = tiny_llama()
    model.lm_head.bias = torch.nn.Parameter(torch.zeros(len(tiny_tokenizer)))
    model.requires_grad_(False)
    model.lm_head.bias.requires_grad_(True)
    view = ModelView(model)
    sequences = encode([Example("the old baker sang in the river"), Example("who found it")], tiny_tokenizer, 64)
    batches = Batches(sequences, 2, seed=0)
    closures = StepClosures(view, Term((Mean(lambda part: view.logits(part).sum() * 0),), batches))
    closures.seek(0)
    batch = batches[0]
    with torch.no_grad():
        p = view.logits(batch)[:, :-1][batch.labels[:, 1:] != -100].softmax(-1)
    truth = (p * (1 - p)).mean(0)
    total = torch.zeros_like(truth)
    for seed in range(400):
        model.lm_head.bias.grad = None
        _, labels = closures.sampled(backward=True, seed=seed)
        total += labels * model.lm_head.bias.grad.square()
    top = truth.topk(20).indices
    assert labels == batch.tokens
    torch.testing.assert_close((total / 400)[top], truth[top], rtol=0.35, atol=1e-4)


def test_bad_interval() -> None:
    with pytest.raises(ValueError, match="every=0"):
        configure("sophia", {"every": 0})


def test_labels_do_not_depend_on_how_a_batch_is_cut(tiny_llama: Any, tiny_tokenizer: Any) -> None:
    """With micro-batches of one the labels, the loss and its gradient are those of the whole batch."""
    from robust_unlearn_bench.suites.corpus import Example
    from robust_unlearn_bench.training.batching import Batches
    from robust_unlearn_bench.training.encoding import encode
    from robust_unlearn_bench.training.loop import StepClosures, Term
    from robust_unlearn_bench.training.model_view import ModelView

    texts = [Example("the old baker sang in the river"), Example("who found it"), Example("a tower of iron")]
    batches = Batches(encode(texts, tiny_tokenizer, 64), 3, seed=0)
    losses, gradients = [], []
    for micro_batch in (None, 1):
        model = tiny_llama()
        view = ModelView(model)
        closures = StepClosures(
            view, Term((Mean(lambda part: part.labels.sum() * 0.0),), batches), micro_batch=micro_batch
        )
        closures.seek(0)
        loss, count = closures.sampled(backward=True, seed=5)
        losses.append((loss, count))
        gradients.append(model.lm_head.weight.grad)
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-4, atol=1e-6)
