"""Every update rule against a slow twin: plain Python floats, one coordinate at a time, written like its paper."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch.nn import Parameter

from robust_unlearn_bench.optimizers import configure

LR = 0.01
STEPS = 12

Twin = Callable[[float, list[float]], float]


def sign(x: float) -> float:
    return (x > 0) - (x < 0)


def adam(w: float, gradients: list[float]) -> float:
    """Kingma and Ba 2015, algorithm 1."""
    m = v = 0.0
    for t, g in enumerate(gradients, 1):
        m = 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * g * g
        w -= LR * (m / (1 - 0.9**t)) / (math.sqrt(v / (1 - 0.999**t)) + 1e-8)
    return w


def sgd(w: float, gradients: list[float]) -> float:
    return w - LR * sum(gradients)


def signadam(w: float, gradients: list[float]) -> float:
    """The sign of Adam's own step, second moment and bias corrections included: they cancel."""
    m = v = 0.0
    for t, g in enumerate(gradients, 1):
        m = 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * g * g
        w -= LR * sign((m / (1 - 0.9**t)) / (math.sqrt(v / (1 - 0.999**t)) + 1e-8))
    return w


def wang2019(w: float, gradients: list[float]) -> float:
    m = 0.0
    for g in gradients:
        m = 0.9 * m + 0.1 * sign(g)
        w -= LR * m
    return w


def signsgd(w: float, gradients: list[float]) -> float:
    return w - LR * sum(map(sign, gradients))


def lion(w: float, gradients: list[float]) -> float:
    """Chen et al. 2023, algorithm 2."""
    m = 0.0
    for g in gradients:
        c = 0.9 * m + (1 - 0.9) * g
        w -= LR * sign(c)
        m = 0.99 * m + (1 - 0.99) * g
    return w


def ada_zo(w: float, gradients: list[float], correct: bool = False, outside: bool = False) -> float:
    """Shu et al. 2025, algorithm 1: the second moment is of m."""
    m = v = 0.0
    for t, g in enumerate(gradients, 1):
        m = 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * m**2
        mh = m / (1 - 0.9**t) if correct else m
        vh = v / (1 - 0.999**t) if correct else v
        w -= LR * mh / (math.sqrt(vh) + 1e-8 if outside else math.sqrt(vh + 1e-8))
    return w


CASES: list[tuple[str, dict[str, Any], Twin]] = [
    ("adam", {}, adam),
    ("sgd", {}, sgd),
    ("signadam", {}, signadam),
    ("signadam", {"variant": "wang2019"}, wang2019),
    ("signsgd", {}, signsgd),
    ("lion", {}, lion),
    ("ada_zo", {}, ada_zo),
    ("ada_zo", {"bias_correction": True}, lambda w, g: ada_zo(w, g, correct=True)),
    ("ada_zo", {"zeta_outside": True}, lambda w, g: ada_zo(w, g, outside=True)),
]


def gradients(shape: tuple[int, ...]) -> Iterator[torch.Tensor]:
    generator = torch.Generator().manual_seed(7)
    for _ in range(STEPS):
        yield torch.randn(shape, generator=generator)


@pytest.mark.parametrize(("name", "options", "twin"), CASES)
def test_twin(name: str, options: dict[str, Any], twin: Twin) -> None:
    start = torch.linspace(-1, 1, 6).view(2, 3)
    p = Parameter(start.clone())
    (update,) = configure(name, {"lr": LR, **options}).build({"w": p}, clip=None, seed=0).updates
    seen = []
    for g in gradients((2, 3)):
        p.grad = g.clone()
        update.step()
        assert torch.equal(p.grad, g), "an update may not write into the gradient"
        seen.append(g)
    for i, j in ((0, 0), (0, 2), (1, 1)):
        expected = twin(float(start[i, j]), [float(g[i, j]) for g in seen])
        assert p[i, j].item() == pytest.approx(expected, abs=2e-6)


def test_adam_with_quantised_update() -> None:
    """Adam's step rounded to multiples of max/127 of the tensor, all written out."""
    start = torch.linspace(-1, 1, 6)
    p = Parameter(start.clone())
    (update,) = configure("adam_q8update", {"lr": LR}).build({"w": p}, clip=None, seed=0).updates
    w, m, v = start.tolist(), [0.0] * 6, [0.0] * 6
    for t, gradient in enumerate(gradients((6,)), 1):
        p.grad = gradient
        update.step()
        u = []
        for i, g in enumerate(gradient.tolist()):
            m[i] = 0.9 * m[i] + 0.1 * g
            v[i] = 0.999 * v[i] + 0.001 * g * g
            u.append((m[i] / (1 - 0.9**t)) / (math.sqrt(v[i] / (1 - 0.999**t)) + 1e-8))
        unit = max(map(abs, u)) / 127
        w = [x - LR * unit * round(y / unit) for x, y in zip(w, u, strict=True)]
    assert p.tolist() == pytest.approx(w, abs=2e-6)


def test_ada_zo_with_one_v_per_tensor() -> None:
    p = Parameter(torch.zeros(2))
    (update,) = configure("ada_zo", {"lr": LR, "v": "scalar"}).build({"w": p}, clip=None, seed=0).updates
    p.grad = torch.tensor([3.0, 4.0])
    update.step()
    root = math.sqrt(0.001 * (0.3**2 + 0.4**2) / 2 + 1e-8)
    assert p.tolist() == pytest.approx([-LR * 0.3 / root, -LR * 0.4 / root], rel=1e-5)
    assert update.state[p]["v"].shape == (1,)


def test_ada_zo_first_and_twentieth_step_of_a_constant_gradient() -> None:
    """m = (1 − .9^t)·g, v = Σ .001·.999^(t−s)·m_s²: 31.6·lr at first, since m/√(.001·m²) = 1/√.001."""
    p = Parameter(torch.zeros(1, dtype=torch.float64))
    (update,) = configure("ada_zo", {"lr": 1.0, "zeta": 1e-30}).build({"w": p}, clip=None, seed=0).updates
    sizes, before = [], 0.0
    for _ in range(20):
        p.grad = torch.ones_like(p)
        update.step()
        sizes.append(before - p.item())
        before = p.item()
    assert sizes[0] == pytest.approx(1 / math.sqrt(0.001), rel=1e-4)
    m, v = 0.0, 0.0
    for _ in range(20):
        m = 0.9 * m + 0.1
        v = 0.999 * v + 0.001 * m * m
    assert sizes[-1] == pytest.approx(m / math.sqrt(v), rel=1e-4)


def test_ada_zo_averages_squares_of_m_not_of_g() -> None:
    """With a gradient of alternating sign m stays small, so v does: v of g² would be ten times as large."""
    p = Parameter(torch.zeros(1))
    (update,) = configure("ada_zo", {"lr": LR}).build({"w": p}, clip=None, seed=0).updates
    for t in range(50):
        p.grad = torch.tensor([(-1.0) ** t])
        update.step()
    assert update.state[p]["v"].item() < 0.02 * 0.05


NAMES = ["sgd", "adam", "adam_q8update", "signadam", "signsgd", "lion", "sophia", "muon", "sam", "rs", "tar",
         "zo_sgd", "ada_zo", "hizoo", "hybrid"]  # fmt: skip
BACKPROPAGATING = NAMES[:11]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_resumed_state_continues_bit_for_bit(quadratic: Any, name: str, dtype: torch.dtype, tmp_path: Any) -> None:
    """Three steps, through a file, three more = six steps; also in bf16, where torch would round fp32 states."""

    def fresh() -> tuple[Any, Any]:
        losses = quadratic(dtype)
        options = {"n_fo": 2, "n_zo": 2} if name == "hybrid" else {}
        return losses, configure(name, options).build(losses.parameters, clip=1.0, seed=5)

    straight, rule = fresh()
    for _ in range(6):
        rule.step(straight)
    first, rule = fresh()
    for _ in range(3):
        rule.step(first)
    torch.save({"rule": rule.state_dict(), "weights": first.parameters}, tmp_path / "state.pt")
    saved = torch.load(tmp_path / "state.pt", weights_only=True)
    second, rule = fresh()
    with torch.no_grad():
        for n, p in second.parameters.items():
            p.copy_(saved["weights"][n])
    rule.load_state_dict(saved["rule"])
    for _ in range(3):
        rule.step(second)
    for n, p in straight.parameters.items():
        assert torch.equal(p, second.parameters[n]), n
        assert p.dtype == dtype


@pytest.mark.parametrize("name", BACKPROPAGATING)
def test_parameter_without_gradient_stays_bit_identical(quadratic: Any, name: str) -> None:
    losses = quadratic()
    idle = Parameter(torch.randn(3, generator=torch.Generator().manual_seed(0)))
    before = idle.detach().clone()
    rule = configure(name, {}).build({**losses.parameters, "idle": idle}, clip=1.0, seed=0)
    for _ in range(3):
        rule.step(losses)
    assert torch.equal(idle, before)
    assert idle.grad is None


@pytest.mark.parametrize("name", NAMES)
def test_descends_a_quadratic_to_its_minimum(quadratic: Any, name: str) -> None:
    """The minimum of ½Σ a(w − 1)² + ½Σ b·w² is at a/(a + b)."""
    losses = quadratic()
    zeroth = name in ("zo_sgd", "ada_zo", "hizoo")
    options: dict[str, Any] = {"lr": {"sgd": 0.5, "zo_sgd": 0.02, "hizoo": 0.02}.get(name, 0.03 if zeroth else 0.1)}
    if name == "hybrid":
        options = {"lr_fo": 0.1, "lr_zo": 0.01, "n_fo": 10, "n_zo": 10}
    rule = configure(name, options).build(losses.parameters, clip=None, seed=0)
    steps = 900 if zeroth else 250
    for step in range(steps):
        rule.schedule(1 - step / steps)
        rule.step(losses)
    for n, p in losses.parameters.items():
        torch.testing.assert_close(p.detach(), losses.a[n] / (losses.a[n] + losses.b[n]), atol=0.08, rtol=0)


def test_clip_scales_the_gradient_to_the_norm(quadratic: Any) -> None:
    losses = quadratic()
    start = {n: p.detach().clone() for n, p in losses.parameters.items()}
    norm = configure("sgd", {"lr": 1.0}).build(losses.parameters, clip=0.5, seed=0).step(losses)
    by_hand = {n: losses.a[n] * (start[n] - 1) + losses.b[n] * start[n] for n in start}
    assert norm == pytest.approx(math.sqrt(sum(float(g.square().sum()) for g in by_hand.values())), rel=1e-5)
    for n, p in losses.parameters.items():
        torch.testing.assert_close(p.detach(), start[n] - by_hand[n] * 0.5 / norm, rtol=1e-4, atol=1e-6)


def test_schedule_scales_from_the_peak(quadratic: Any) -> None:
    losses = quadratic()
    rule = configure("hybrid", {"lr_fo": 2.0, "lr_zo": 8.0}).build(losses.parameters, clip=1.0, seed=0)
    for factor in (0.5, 0.25):
        rule.schedule(factor)
        assert [u.param_groups[0]["lr"] for u in rule.updates] == [2.0 * factor, 8.0 * factor]


def test_muon_takes_hidden_matrices_only(quadratic: Any) -> None:
    """With one matrix of rank 4 the orthogonalised step is .2·√4·lr times a matrix of singular values near 1."""
    losses = quadratic()
    rule = configure("muon", {"lr": 0.1}).build(losses.parameters, clip=None, seed=0)
    assert [sum(p.numel() for g in u.param_groups for p in g["params"]) for u in rule.updates] == [16, 28]
    before = losses.parameters["layers.0.up.weight"].detach().clone()
    rule.step(losses)
    moved = (before - losses.parameters["layers.0.up.weight"].detach()) / (0.1 * 0.2 * 2)
    assert torch.linalg.svdvals(moved).mean().item() == pytest.approx(1, abs=0.35)
