"""The zeroth-order estimate: right on a function whose derivative is known, and leaves no trace on the weights."""

from __future__ import annotations

import math
import warnings
from typing import Any

import pytest
import torch
from torch.nn import Parameter

from robust_unlearn_bench.optimizers import configure
from robust_unlearn_bench.optimizers.directions import Direction
from robust_unlearn_bench.optimizers.zeroth_order import ZerothOrder


@pytest.mark.parametrize("queries", [1, 3])
@pytest.mark.parametrize("store", [False, True])
@pytest.mark.parametrize("kind", ["sphere", "gaussian", "rademacher"])
def test_twin_on_a_quadratic(quadratic: Any, kind: Any, store: bool, queries: int) -> None:
    """A two-sided difference is exact on a quadratic: c = ∇f·z, so g = mean (∇f·z) z."""
    losses = quadratic()
    estimate = ZerothOrder(1e-2, queries, kind, seed=3, store=store)
    size = estimate(losses, losses.parameters, step=4)
    gradient = {n: losses.a[n] * (p.detach() - 1) + losses.b[n] * p.detach() for n, p in losses.parameters.items()}
    expected = {n: torch.zeros_like(g) for n, g in gradient.items()}
    squares = 0.0
    for number in range(queries):
        z = Direction(kind, 3, 4, number, losses.parameters)
        c = sum(float((gradient[n] * z[n]).sum()) for n in gradient)
        squares += c * c
        for n in gradient:
            expected[n] += c * z[n] / queries
    assert float(size) == pytest.approx(math.sqrt(squares / queries), rel=2e-3)
    for n, p in losses.parameters.items():
        torch.testing.assert_close(p.grad, expected[n], rtol=2e-3, atol=2e-3)
    assert (losses.forwards, losses.backwards) == (4 * queries, 0)


def test_looks_at_both_sides_of_the_same_place(quadratic: Any) -> None:
    losses = quadratic()
    start = {n: p.detach().clone() for n, p in losses.parameters.items()}
    ZerothOrder(1e-2, 1, "sphere", 0, False)(losses, losses.parameters, 0)
    z = Direction("sphere", 0, 0, 0, losses.parameters)
    for visited, distance in zip(losses.visited, (1e-2, 1e-2, -1e-2, -1e-2), strict=True):
        for n in start:
            torch.testing.assert_close(visited[n], start[n] + distance * z[n])


@pytest.mark.parametrize("name", ["zo_sgd", "ada_zo", "hizoo"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.filterwarnings("ignore:eps=")  # the tiny weights are coarse for this ε; warned of on purpose
def test_weights_return_bit_for_bit_over_200_steps_of_rate_zero(quadratic: Any, name: str, dtype: torch.dtype) -> None:
    losses = quadratic(dtype)
    start = {n: p.detach().clone() for n, p in losses.parameters.items()}
    rule = configure(name, {}).build(losses.parameters, clip=1.0, seed=0)
    rule.schedule(0.0)
    for _ in range(200):
        rule.step(losses)
    assert all(torch.equal(p, start[n]) for n, p in losses.parameters.items())


def test_subtracting_the_perturbation_again_would_drift() -> None:
    """Why weights come back by copy: +ε, −2ε, +ε in bf16 moves them by percents without any update."""
    p = Parameter(torch.randn(4000, generator=torch.Generator().manual_seed(0)).mul(0.02).bfloat16())
    start = p.detach().clone()
    with torch.no_grad():
        for step in range(200):
            z = Direction("sphere", 0, step, 0, {"p": p})["p"]
            for distance in (1e-3, -2e-3, 1e-3):
                p += (distance * z).bfloat16()
    assert float((p - start).float().norm() / start.float().norm()) > 0.02


@pytest.mark.parametrize("name", ["zo_sgd", "ada_zo", "hizoo"])
def test_an_interrupted_look_puts_the_weights_back(quadratic: Any, name: str) -> None:
    losses = quadratic()
    start = {n: p.detach().clone() for n, p in losses.parameters.items()}
    rule = configure(name, {}).build(losses.parameters, clip=1.0, seed=0)
    retain, calls = losses.retain, []

    def interrupted(backward: bool) -> float:
        calls.append(backward)
        if len(calls) == (3 if name == "hizoo" else 2):
            raise KeyboardInterrupt
        return float(retain(backward))

    losses.retain = interrupted
    with pytest.raises(KeyboardInterrupt):
        rule.step(losses)
    assert all(torch.equal(p, start[n]) for n, p in losses.parameters.items())


def test_clipping_bounds_the_slope(quadratic: Any) -> None:
    """zo_sgd moves by lr·c·z with |c| cut to `clip`."""
    losses = quadratic()
    start = {n: p.detach().clone() for n, p in losses.parameters.items()}
    rule = configure("zo_sgd", {"lr": 0.1}).build(losses.parameters, clip=0.25, seed=0)
    assert rule.step(losses) > 0.25
    z = Direction("sphere", 0, 0, 0, losses.parameters)
    for n, p in losses.parameters.items():
        torch.testing.assert_close((start[n] - p.detach()).abs(), 0.1 * 0.25 * z[n].abs(), rtol=1e-3, atol=1e-6)


def test_warns_when_rounding_would_blur_the_look(quadratic: Any) -> None:
    losses = quadratic(torch.bfloat16)
    with pytest.warns(UserWarning, match="half a bf16 unit in the last place"):
        configure("ada_zo", {"eps": 1e-4}).build(losses.parameters, clip=None, seed=0).step(losses)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        configure("ada_zo", {"eps": 1e-2}).build(losses.parameters, clip=None, seed=0).step(losses)
        fine = quadratic()
        configure("ada_zo", {"eps": 1e-6}).build(fine.parameters, clip=None, seed=0).step(fine)


def test_tied_weights_are_moved_once(tiny_llama: Any) -> None:
    """A tied head is the embedding: perturbing it twice would move it by 2ε."""
    model = tiny_llama(tied=True)
    parameters = dict(model.named_parameters())
    assert "lm_head.weight" not in parameters
    start = model.lm_head.weight.detach().clone()
    z = Direction("sphere", 0, 0, 0, parameters)
    seen = []

    class Look:
        def forget(self, backward: bool) -> float:
            seen.append(model.lm_head.weight.detach().clone())
            return 0.0

        def retain(self, backward: bool) -> float:
            return 0.0

    ZerothOrder(1e-2, 1, "sphere", 0, False)(Look(), parameters, 0)
    torch.testing.assert_close(seen[0] - start, 1e-2 * z["model.embed_tokens.weight"], atol=1e-6, rtol=1e-3)


def test_hizoo_twin(quadratic: Any) -> None:
    """Zhao et al. 2024, algorithm 1, in fp64: h = Σ^-1 learns from the bend, then scales the step."""
    losses = quadratic()
    eps, alpha, lr = 0.2, 0.3, 0.01
    w = {n: p.detach().double() for n, p in losses.parameters.items()}
    h = {n: torch.ones_like(x) for n, x in w.items()}

    def f(x: dict[str, torch.Tensor]) -> float:
        return sum(
            float(0.5 * (losses.a[n] * (x[n] - 1) ** 2).sum() + 0.5 * (losses.b[n] * x[n] ** 2).sum()) for n in x
        )

    rule = configure("hizoo", {"lr": lr, "eps": eps, "alpha": alpha}).build(losses.parameters, clip=None, seed=1)
    for step in range(5):
        u = Direction("sphere", 1, step, 0, losses.parameters)
        z = {n: u[n].double() for n in w}
        plus = f({n: w[n] + eps * z[n] / h[n].sqrt() for n in w})
        minus = f({n: w[n] - eps * z[n] / h[n].sqrt() for n in w})
        bend = (plus + minus - 2 * f(w)) / eps**2
        h = {n: (1 - alpha) * h[n] + alpha * (0.5 * bend * h[n] * z[n] ** 2).abs() for n in w}
        c = (plus - minus) / (2 * eps)
        w = {n: w[n] - lr * c * z[n] / h[n].sqrt() for n in w}
        rule.step(losses)
    for n, p in losses.parameters.items():
        torch.testing.assert_close(p.detach().double(), w[n], rtol=1e-3, atol=1e-4)
    assert losses.backwards == 0
