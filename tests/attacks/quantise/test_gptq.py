from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from robust_unlearn_bench.attacks import AttackContext, parse
from robust_unlearn_bench.attacks.blockwise import walk
from robust_unlearn_bench.attacks.calibration import calibrate
from robust_unlearn_bench.attacks.quantise.backends import Quantised
from robust_unlearn_bench.attacks.quantise.backends import gptqmodel as theirs
from robust_unlearn_bench.attacks.quantise.gptq import GPTQ, quantise
from robust_unlearn_bench.attacks.quantise.grid import Grid, distinct_values
from robust_unlearn_bench.attacks.quantise.hessian import Hessian
from robust_unlearn_bench.errors import AttackError, ConfigError, DataError, MissingExtraError, ModelError
from robust_unlearn_bench.models.decoder import Linear, decoder_linears


def _random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _correlated(tokens: int, features: int) -> Tensor:
    """Inputs with a few strong common directions, as activations have."""
    return _random(tokens, features, seed=1) + 3 * _random(tokens, 3, seed=2) @ _random(3, features, seed=3)


def _optimal_brain(weight: Tensor, x: Tensor, grid: Grid, damp: float, order: Tensor, static: bool) -> Tensor:
    """The paper's equations (2) and (3) word for word: an explicit inverse, one eliminated column at a time."""
    h = x.T @ x
    h = h + damp * h.diagonal().mean() * torch.eye(len(h), dtype=h.dtype)
    inverse = h[order][:, order].inverse()
    w = weight[:, order].clone()
    original = weight
    group = grid.group(w.shape[1])
    result = torch.zeros_like(w)
    for j in range(w.shape[1]):
        if static:
            first = int(order[j]) // group * group
            scale = grid.fit(original[:, first : first + group].T)
        elif j % group == 0:
            scale = grid.fit(w[:, j : j + group].T)
        result[:, j] = scale.snap(w[:, j])
        error = (w[:, j] - result[:, j]) / inverse[j, j]
        w = w - error[:, None] * inverse[j][None, :]
        inverse = inverse - torch.outer(inverse[:, j], inverse[j]) / inverse[j, j]
        inverse[j, :] = inverse[:, j] = 0
        inverse[j, j] = 1
    restored = torch.zeros_like(result)
    restored[:, order] = result
    return restored


@pytest.mark.parametrize(
    ("group", "block", "act_order", "static", "symmetric"),
    [
        (-1, 128, False, False, True),
        (8, 8, False, False, True),
        (8, 32, False, False, False),  # a block spans several groups
        (16, 4, False, False, True),  # a group spans several blocks
        (7, 5, False, False, True),  # neither divides the other, nor the row
        (8, 32, True, False, True),
        (8, 16, True, True, True),
        (8, 16, False, True, False),
    ],
)
def test_blocked_updates_equal_the_papers_equations(
    group: int, block: int, act_order: bool, static: bool, symmetric: bool
) -> None:
    weight, x, grid = _random(6, 40), _correlated(100, 40), Grid(3, group, symmetric)
    factor = Hessian.of(x.T @ x).factor(0.01, act_order)
    ours = quantise(weight, factor, grid, block=block, static_groups=static)
    twin = _optimal_brain(weight, x, grid, 0.01, factor.order, static)
    torch.testing.assert_close(ours, twin, rtol=1e-9, atol=1e-9)


def test_two_columns_by_hand() -> None:
    # Column 1 rounds .3 to 0 on steps of 1 (max 1.5 over 3 levels at 2 bits); the best second column for that error is
    # w2 + .3·h12/h22 = .4 + .3·2/4 = .55, which rounds to 1, where .4 alone would round to 0.
    weight = torch.tensor([[0.3, 0.4, 1.5]], dtype=torch.float64)
    hessian = torch.tensor([[2.0, 2.0, 0.0], [2.0, 4.0, 0.0], [0.0, 0.0, 1.0]], dtype=torch.float64)
    factor = Hessian.of(hessian).factor(1e-9, act_order=False)
    assert quantise(weight, factor, Grid(2, -1), static_groups=True).tolist() == [[0.0, 1.0, 1.0]]
    assert Grid(2, -1).round(weight).tolist() == [[0.0, 0.0, 1.0]]


def test_independent_inputs_make_gptq_round_to_nearest() -> None:
    weight, grid = _random(5, 24).float(), Grid(4, 8)
    factor = Hessian.of(torch.diag(torch.rand(24) + 0.5)).factor(0.01, act_order=False)
    torch.testing.assert_close(quantise(weight, factor, grid), grid.round(weight), rtol=0, atol=1e-6)


def test_without_a_factor_weights_round_to_nearest() -> None:
    weight, grid = _random(5, 24).float(), Grid(4, 8)
    factor = Hessian.of(torch.zeros(24, 24)).factor(0.01, act_order=False)
    assert torch.equal(quantise(weight, factor, grid), grid.round(weight))


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_error_is_below_rounding_to_nearest(bits: int) -> None:
    weight, x, grid = _random(16, 64), _correlated(300, 64), Grid(bits, 16)
    ours = quantise(weight, Hessian.of(x.T @ x).factor(0.01, act_order=False), grid)
    assert float(((ours - weight) @ x.T).norm()) < 0.8 * float(((grid.round(weight).double() - weight) @ x.T).norm())


# --- the attack -------------------------------------------------------------------------------------------------------


def _weights(model: Any) -> dict[str, Tensor]:
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_every_architecture(
    tiny: Callable[..., Any], context: AttackContext, architecture: str, dtype: torch.dtype
) -> None:
    model = tiny(architecture).to(dtype)
    before = _weights(model)
    report = GPTQ(group_size=16).apply(model, context)
    layers = {f"{layer.name}.weight": layer for layer in decoder_linears(model)}
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, before[name]) == (name not in layers), name
    assert report["layers"] == len(layers)
    assert all(distinct_values(layer.weight, 16) <= 16 for layer in layers.values())
    assert report["effective_bits"] <= 4
    assert report["relative_output_error"].keys() == report["relative_output_error_rtn"].keys()
    assert set(report["fallbacks"]) <= {"dead_columns"}
    assert report["calibration"]["corpus"] == "suite/retain"
    assert report["perplexity"]["after"] != report["perplexity"]["before"]
    json.dumps(report, allow_nan=False)


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_every_layer_beats_rounding_to_nearest_on_its_calibration_inputs(
    tiny: Callable[..., Any], context: AttackContext, architecture: str
) -> None:
    model = tiny(architecture)
    errors: dict[str, tuple[float, float]] = {}
    attack = GPTQ(bits=3)

    def note(layer: Linear, hessian: Hessian) -> None:
        weight, grid = layer.weight.clone(), Grid(3)
        layer.write(quantise(weight, hessian.factor(0.01, False), grid))
        errors[layer.name] = (hessian.energy(layer.weight - weight), hessian.energy(grid.round(weight) - weight))

    walk(model, calibrate(context, "retain", 128, 2048, 0).windows, Hessian, note)
    assert len(errors) == len(decoder_linears(model))
    assert [name for name, (ours, rtn) in errors.items() if ours >= rtn] == []
    report = attack.apply(tiny(architecture), context)  # and the attack does just that
    assert all(e < report["relative_output_error_rtn"][k] for k, e in report["relative_output_error"].items())


def test_attack_equals_a_plain_loop_over_whole_forwards(tiny: Callable[..., Any], context: AttackContext) -> None:
    model, twin = tiny("llama"), tiny("llama")
    GPTQ(group_size=8, samples=6).apply(model, context)
    windows = calibrate(context, "retain", 6, 2048, 0).windows
    stages = [("q_proj", "k_proj", "v_proj"), ("o_proj",), ("gate_proj", "up_proj"), ("down_proj",)]
    for block in twin.model.layers:
        for stage in stages:
            modules = [m for n, m in block.named_modules() if n.rpartition(".")[2] in stage]
            inputs: list[Tensor] = []
            hook = modules[0].register_forward_pre_hook(lambda m, args, kept=inputs: kept.append(args[0].flatten(0, 1)))
            with torch.no_grad():
                for window in windows:
                    twin(input_ids=window[None])
            hook.remove()
            x = torch.cat(inputs)
            for module in modules:
                weight = module.weight.detach()
                factor = Hessian.of(x.T @ x).factor(0.01, act_order=False)
                module.weight.data = quantise(weight, factor, Grid(4, 8)).contiguous()
    close = [
        torch.isclose(a, b, rtol=1e-3, atol=1e-4).float().mean()
        for a, b in zip(_weights(model).values(), _weights(twin).values(), strict=True)
    ]
    assert min(map(float, close)) > 0.99  # sums in another order may tip single roundings over


def test_same_seed_gives_the_same_bits_and_another_seed_does_not(
    tiny: Callable[..., Any], context: AttackContext
) -> None:
    models = [tiny("llama") for _ in range(3)]
    for model, seed in zip(models, (0, 0, 1), strict=True):
        GPTQ(samples=10, seed=seed).apply(model, context)
    first, again, other = (_weights(model) for model in models)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize(
    "changes",
    [
        {"act_order": True},
        {"act_order": True, "static_groups": True},
        {"symmetric": False},
        {"true_sequential": False},
        {"group_size": -1},
        {"calibration": "forget"},
        {"bits": 8},
    ],
)
def test_options_change_the_weights_and_keep_the_bits(
    tiny: Callable[..., Any], context: AttackContext, changes: dict[str, Any]
) -> None:
    plain, changed = tiny("llama"), tiny("llama")
    base = GPTQ(group_size=16)
    base.apply(plain, context)
    report = dataclasses.replace(base, **changes).apply(changed, context)
    assert not all(torch.equal(a, b) for a, b in zip(plain.parameters(), changed.parameters(), strict=True))
    assert report["effective_bits"] <= changes.get("bits", 4)


def test_tied_embeddings_stay_tied_and_untouched(tiny: Callable[..., Any], context: AttackContext) -> None:
    model = tiny("llama", tie_word_embeddings=True)
    embedding = model.get_input_embeddings().weight
    before = embedding.detach().clone()
    GPTQ().apply(model, context)
    assert model.get_output_embeddings().weight is embedding
    assert torch.equal(embedding, before)


def test_dead_columns_are_rounded_and_reported(tiny: Callable[..., Any], context: AttackContext) -> None:
    model = tiny("llama")
    block = model.model.layers[0]
    with torch.no_grad():
        block.input_layernorm.weight[5] = 0  # feature 5 never reaches q, k, v
    before = block.self_attn.q_proj.weight[:, 5].detach().clone()
    report = GPTQ(group_size=16).apply(model, context)
    assert report["fallbacks"]["dead_columns"] == {
        f"model.layers.0.self_attn.{name}": 1 for name in ("q_proj", "k_proj", "v_proj")
    }
    after = block.self_attn.q_proj.weight[:, 5].detach()
    steps = 2 * 0.15 * 4 / 15
    assert float((after - before).abs().max()) < steps  # rounded, where the reference code writes zeros
    assert float(after.abs().max()) > 0


def test_overflowing_activations_fall_back_to_rounding(tiny: Callable[..., Any], context: AttackContext) -> None:
    model = tiny("llama")
    with torch.no_grad():
        model.model.layers[1].post_attention_layernorm.weight.fill_(1e25)  # squares overflow fp32
    report = GPTQ(group_size=16).apply(model, context)
    fallen = report["fallbacks"]["hessian_not_positive_definite_rounded_to_nearest"]
    assert "model.layers.1.mlp.gate_proj" in fallen
    grid = Grid(4, 16)
    weight = tiny("llama").model.layers[1].mlp.gate_proj.weight.detach()
    assert torch.equal(model.model.layers[1].mlp.gate_proj.weight, grid.round(weight))
    json.dumps(report, allow_nan=False)


def test_what_is_no_linear_layer_or_is_never_reached_is_reported(
    tiny: Callable[..., Any], context: AttackContext
) -> None:
    model = tiny("llama")
    model.model.layers[1].add_module("expert", torch.nn.Linear(32, 8))
    model.model.layers[1].fused = torch.nn.Parameter(torch.ones(2, 3, 4))
    weight = model.model.layers[1].expert.weight.detach().clone()
    report = GPTQ().apply(model, context)
    assert report["fallbacks"]["no_calibration_token_rounded_to_nearest"] == ["model.layers.1.expert"]
    assert report["fallbacks"]["not_a_linear_layer_left_as_is"] == ["model.layers.1.fused"]
    assert torch.equal(model.model.layers[1].expert.weight, Grid(4).round(weight))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gptq1", "bits=1"),
        ("gptq16", "bits=16"),
        ("gptq4(group_size=0)", "group_size=0"),
        ("gptq4(damp=0.0)", "damp=0.0"),
        ("gptq4(block=0)", "block=0"),
        ("gptq4(samples=0)", "samples=0"),
        ("gptq4(length=1)", "length=1"),
        ("gptq4(calibration=retian)", "input should be 'retain'"),
    ],
)
def test_values_out_of_range_are_named(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse(text)


@pytest.mark.parametrize("backend", ["llmcompressor", "gptqmodel"])
def test_a_missing_backend_says_what_to_install_and_leaves_the_model(
    tiny: Callable[..., Any], context: AttackContext, monkeypatch: pytest.MonkeyPatch, backend: Any
) -> None:
    monkeypatch.setitem(sys.modules, backend, None)
    model = tiny("llama")
    before = _weights(model)
    with pytest.raises(MissingExtraError, match=rf"needs {backend}.*\[{backend}\]"):
        GPTQ(group_size=16, backend=backend).apply(model, context)
    assert all(torch.equal(before[name], tensor) for name, tensor in _weights(model).items())


def test_weights_of_another_backend_are_written_and_what_it_ignores_is_told(
    tiny: Callable[..., Any], context: AttackContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    def doubling(checkpoint: Path, windows: Any, attack: GPTQ) -> Quantised:
        weights = {layer.name: Grid(4, 16).round(layer.weight * 2) for layer in decoder_linears(tiny("llama"))}
        return Quantised(weights, "1.2", ignored=("block",))

    monkeypatch.setattr(theirs, "quantise", doubling)
    model = tiny("llama")
    report = GPTQ(group_size=16, backend="gptqmodel").apply(model, context)
    for new, old in zip(decoder_linears(model), decoder_linears(tiny("llama")), strict=True):
        assert torch.equal(new.weight, Grid(4, 16).round(old.weight * 2))
    assert report["backend"] == "gptqmodel 1.2"
    assert report["fallbacks"] == {"gptqmodel_ignores": ["block"]}
    assert report["effective_bits"] <= 4
    monkeypatch.setattr(
        "robust_unlearn_bench.attacks.quantise.backends.gptqmodel.quantise",
        lambda checkpoint, windows, attack: Quantised({}, "1.2"),
    )
    with pytest.raises(AttackError, match=r"did not quantise model.layers.0.self_attn.q_proj"):
        GPTQ(group_size=16, backend="gptqmodel").apply(tiny("llama"), context)


def test_models_and_texts_that_cannot_be_used_are_refused_before_anything_changes(
    tiny: Callable[..., Any], context: AttackContext
) -> None:
    model = tiny("llama")
    before = _weights(model)
    with pytest.raises(DataError, match="belongs to none"):
        GPTQ(calibration="forget").apply(model, dataclasses.replace(context, corpora=None))
    assert all(torch.equal(before[name], tensor) for name, tensor in _weights(model).items())
    with torch.no_grad():
        model.model.layers[0].mlp.up_proj.weight[0, 0] = torch.nan
    with pytest.raises(ModelError, match="up_proj holds NaN"):
        GPTQ().apply(model, context)
