from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from robust_unlearn_bench.errors import ModelError
from robust_unlearn_bench.models.decoder import decoder_blocks, decoder_linears, other_matrices, tensor_class

PER_BLOCK = {
    **dict.fromkeys(("llama", "mistral", "qwen2", "qwen3", "gemma2", "gemma3_text"), 7),
    **{"phi": 6, "gpt_neox": 4, "opt": 6, "gpt2": 4},
}


def test_all_linears_of_the_blocks_and_nothing_else(tiny: Callable[..., Any], architecture: str) -> None:
    model = tiny(architecture)
    path, blocks = decoder_blocks(model)
    found = decoder_linears(model)
    assert len(blocks) == 2
    assert len(found) == 2 * PER_BLOCK[architecture]
    assert all(layer.name.startswith(path + ".") for layer in found)
    assert other_matrices(model) == []
    inside = {id(layer.module.weight) for layer in found}
    outside = {id(model.get_input_embeddings().weight), id(model.get_output_embeddings().weight)}
    assert not inside & outside


def test_weight_is_out_by_in_in_either_layout(tiny: Callable[..., Any]) -> None:
    for architecture in ("gpt2", "opt"):
        model = tiny(architecture)
        for layer in decoder_linears(model):
            x = torch.randn(3, layer.weight.shape[1], generator=torch.Generator().manual_seed(0))
            bias: Any = layer.module.bias
            torch.testing.assert_close(layer.module(x), x @ layer.weight.T + bias)
            layer.write(layer.weight * 2)
            torch.testing.assert_close(layer.module(x), x @ layer.weight.T + bias)


def test_fused_experts_are_reported_as_other_matrices(tiny: Callable[..., Any]) -> None:
    model = tiny("llama")
    model.model.layers[0].experts = torch.nn.ParameterList([torch.nn.Parameter(torch.zeros(2, 3, 4))])
    assert other_matrices(model) == ["model.layers.0.experts.0"]


def test_tensor_class_drops_the_layer_index() -> None:
    assert tensor_class("model.layers.3.mlp.down_proj") == "mlp.down_proj"
    assert tensor_class("transformer.h.11.attn.c_attn") == "attn.c_attn"
    assert tensor_class("gpt_neox.layers.0.mlp.experts.2.w1") == "mlp.experts.2.w1"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda model: object(), "torch model in this process"),
        (lambda model: torch.nn.Linear(3, 3), "no list of decoder blocks"),
        (lambda model: torch.nn.ModuleList([torch.nn.LayerNorm(3)]), "no Linear layer"),
    ],
)
def test_models_without_linear_decoder_layers_are_refused(make: Callable[[Any], Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        decoder_linears(make(None))


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (torch.zeros(32, 32, dtype=torch.uint8), "is quantised"),
        (torch.zeros(32, 32, dtype=torch.float8_e4m3fn), "is quantised"),
        (torch.zeros(32, 32, device="meta"), "is offloaded"),
        (torch.full((32, 32), torch.nan), "NaN"),
    ],
)
def test_weights_that_cannot_be_attacked_are_named(tiny: Callable[..., Any], weight: Any, message: str) -> None:
    model = tiny("llama")
    model.model.layers[1].self_attn.q_proj.weight = torch.nn.Parameter(weight, requires_grad=False)
    with pytest.raises(ModelError, match=rf"model.layers.1.self_attn.q_proj {message}|q_proj holds {message}"):
        decoder_linears(model)
