"""What every objective must obey: finite differences, masks, padding, order of the batch."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from robust_unlearn_bench.objectives import OBJECTIVES, RETAIN_LOSSES

CASES: list[tuple[Any, str, dict[str, Any]]] = [
    (OBJECTIVES, "grad_ascent", {}),
    (OBJECTIVES, "grad_diff", {}),
    (OBJECTIVES, "npo", {}),
    (OBJECTIVES, "npo", {"level": "token_mean"}),
    (OBJECTIVES, "npo", {"level": "muse_logits"}),
    (OBJECTIVES, "simnpo", {"gamma": 0.5}),
    (OBJECTIVES, "rmu", {"layer": 1}),
    (OBJECTIVES, "dpo", {}),
    (OBJECTIVES, "idk", {}),
    (OBJECTIVES, "undial", {"strength": 3.0}),
    (OBJECTIVES, "jensun", {"token": 2}),
    (OBJECTIVES, "ilu", {"weight": 0.3}),
    (RETAIN_LOSSES, "nll", {}),
    (RETAIN_LOSSES, "kl", {}),
    (RETAIN_LOSSES, "jsd", {}),
    (RETAIN_LOSSES, "activation", {"layer": 2}),
]


@pytest.fixture(params=CASES, ids=[f"{name}-{options.get('level', '')}".strip("-") for _, name, options in CASES])
def setting(request: pytest.FixtureRequest, rows: Any, outputs: Any, table: Any) -> tuple[Any, Any, Any, Any]:
    """Objective, batch, outputs of the model, outputs of the reference."""
    registry, name, options = request.param
    objective = registry[name](**options)
    beside = None
    if objective.companion:
        beside = replace(rows(7, seed=5), before=torch.tensor([-3.0, -2.0, -4.0], dtype=torch.float64))
    batch = replace(rows(), before=torch.tensor([-5.0, -6.0, -4.5], dtype=torch.float64), companion=beside)
    model, reference = outputs(seed=1), outputs(seed=11)
    if beside is not None:
        model["beside"], reference["beside"] = outputs(7, seed=3)["logits"], outputs(7, seed=13)["logits"]
    return objective, batch, model, reference


class Both:
    """Logits by the number of columns: the batch's and its companion's."""

    def __init__(self, outputs: dict[str, torch.Tensor]) -> None:
        self.outputs = outputs

    def logits(self, batch: Any) -> torch.Tensor:
        beside = self.outputs.get("beside")
        return beside if beside is not None and beside.shape[1] == batch.labels.shape[1] else self.outputs["logits"]

    def hidden(self, batch: Any, layer: int) -> torch.Tensor:
        return self.outputs[f"hidden{layer}"]


def loss(objective: Any, batch: Any, model: Any, reference: Any) -> torch.Tensor:
    value: torch.Tensor = objective.loss(batch, Both(model), Both(reference))
    return value


def test_scalar_in_the_precision_of_the_outputs(setting: Any) -> None:
    value = loss(*setting)
    assert value.shape == ()
    assert value.dtype == torch.float64
    objective, batch, model, reference = setting
    low = {k: v.bfloat16() for k, v in model.items()}
    batch = replace(batch, before=batch.before.float())
    if batch.companion:
        batch = replace(batch, companion=replace(batch.companion, before=batch.companion.before.float()))
    rounded = {k: v.bfloat16() for k, v in reference.items()}
    got = loss(objective, batch, low, rounded)
    assert got.dtype == torch.float32
    same = loss(objective, batch, {k: v.float() for k, v in low.items()}, {k: v.float() for k, v in rounded.items()})
    torch.testing.assert_close(got, same)


def test_gradient_matches_finite_differences(setting: Any) -> None:
    objective, batch, model, reference = setting
    names = [n for n in model if objective.name not in ("rmu", "activation") or n == f"hidden{objective.layer}"]

    def f(*values: torch.Tensor) -> torch.Tensor:
        return loss(objective, batch, {**model, **dict(zip(names, values, strict=True))}, reference)

    inputs = tuple(model[n].clone().requires_grad_() for n in names)
    assert torch.autograd.gradcheck(f, inputs)
    gradients = torch.autograd.grad(f(*inputs), inputs, allow_unused=True)
    assert any(g is not None and bool(g.any()) for g in gradients)


def test_no_gradient_where_nothing_is_scored(setting: Any) -> None:
    objective, batch, model, reference = setting
    values = {k: v.clone().requires_grad_() for k, v in model.items()}
    loss(objective, batch, values, reference).backward()
    states = objective.name in ("rmu", "activation")
    for key, v in values.items():
        if v.grad is None:
            continue
        rows = batch.companion if key == "beside" else batch
        if states:
            used = rows.labels != -100
        else:
            used = torch.cat([rows.labels[:, 1:] != -100, torch.zeros(3, 1, dtype=torch.bool)], 1)
        assert not v.grad[~used].any(), key


def test_padding_changes_nothing(setting: Any, padded: Any) -> None:
    objective, batch, model, reference = setting
    torch.testing.assert_close(loss(objective, padded(batch), padded(model), padded(reference)), loss(*setting))


def test_order_of_the_batch_changes_nothing(setting: Any, shuffled: Any) -> None:
    objective, batch, model, reference = setting
    order = torch.tensor([2, 0, 1])
    moved = loss(objective, shuffled(batch, order), shuffled(model, order), shuffled(reference, order))
    torch.testing.assert_close(moved, loss(*setting))


def test_every_registered_loss_is_tested_here() -> None:
    elsewhere = {"lat"}  # asks for more than outputs: test_lat.py
    assert {name for registry, name, _ in CASES if registry is OBJECTIVES} == set(OBJECTIVES) - elsewhere
    assert {name for registry, name, _ in CASES if registry is RETAIN_LOSSES} == set(RETAIN_LOSSES)
