from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from transformers import CONFIG_MAPPING, AutoConfig, AutoModelForImageTextToText

from robust_unlearn_bench.errors import ModelError
from robust_unlearn_bench.models.decoder import (
    decoder_block,
    decoder_blocks,
    decoder_linears,
    other_matrices,
    tensor_class,
    tensor_kind,
)

PER_BLOCK = {
    **dict.fromkeys(("llama", "mistral", "qwen2", "qwen3", "gemma2", "gemma3_text"), 7),
    **{"phi": 6, "gpt_neox": 4, "opt": 6, "gpt2": 4},
}


def test_all_linears_of_the_blocks_and_nothing_else(tiny: Callable[..., Any], architecture: str) -> None:
    model = tiny(architecture)
    path, blocks = decoder_blocks(model)
    found = decoder_linears(model)
    assert len(blocks) == model.config.get_text_config().num_hidden_layers == 2
    assert [decoder_block(model, i) for i in range(2)] == list(blocks)
    assert len(found) == 2 * PER_BLOCK[architecture]
    assert all(layer.name.startswith(path + ".") for layer in found)
    assert other_matrices(model) == []
    inside = {id(layer.module.weight) for layer in found}
    outside = {id(model.get_input_embeddings().weight), id(model.get_output_embeddings().weight)}
    assert not inside & outside


WRAPPERS = {
    "gemma3": ("gemma3_text", "siglip_vision_model"),
    "llava": ("llama", "clip_vision_model"),
    "mistral3": ("mistral", "pixtral"),
}


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_the_text_decoder_of_a_multimodal_model_is_found_beside_a_larger_vision_tower(
    tiny: Callable[..., Any], wrapper: str
) -> None:
    text, tower = WRAPPERS[wrapper]
    if wrapper not in CONFIG_MAPPING:
        pytest.skip(f"the installed transformers does not know {wrapper}")
    vision = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 3, "num_attention_heads": 4}
    config = AutoConfig.for_model(
        wrapper,
        text_config={**tiny(text).config.to_dict(), "model_type": text},
        vision_config={**vision, "image_size": 28, "patch_size": 14, "model_type": tower},
    )
    model = AutoModelForImageTextToText.from_config(config)
    path, blocks = decoder_blocks(model)
    assert path.endswith("language_model.layers")
    assert len(blocks) == config.get_text_config().num_hidden_layers == 2
    assert len(decoder_linears(model)) == 2 * PER_BLOCK[text]


def test_a_list_of_experts_inside_a_block_is_not_the_decoder(tiny: Callable[..., Any]) -> None:
    model = tiny("llama")
    model.model.layers[0].experts = torch.nn.ModuleList(torch.nn.Linear(8, 8) for _ in range(9))
    assert decoder_blocks(model)[0] == "model.layers"


@pytest.mark.parametrize("number", [-1, 2])
def test_blocks_that_are_not_there_are_named(tiny: Callable[..., Any], number: int) -> None:
    with pytest.raises(ModelError, match=f"no decoder layer {number}: choose one from 0 to 1"):
        decoder_block(tiny("llama"), number)


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


def test_tensor_kind_goes_by_the_name(tiny: Callable[..., Any], architecture: str) -> None:
    model = tiny(architecture)
    path, _ = decoder_blocks(model)
    inside = {tensor_kind(name) for name, _ in model.named_parameters() if name.startswith(path)}
    assert inside == {"norm", "attention", "mlp"}
    names = {id(parameter): name for name, parameter in model.named_parameters(remove_duplicate=False)}
    assert tensor_kind(names[id(model.get_output_embeddings().weight)]) == "head"
    first = next(name for name, p in model.named_parameters() if p is model.get_input_embeddings().weight)
    assert tensor_kind(first) == "embedding"
    assert tensor_kind("model.decoder.project_in.weight") == "other"


def _without_linears(model: Any) -> Any:
    model.model.layers = torch.nn.ModuleList([torch.nn.LayerNorm(3)])
    return model


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda model: object(), "torch model in this process"),
        (lambda model: torch.nn.Linear(3, 3), "no list of decoder blocks"),
        (_without_linears, "no Linear layer"),
    ],
)
def test_models_without_linear_decoder_layers_are_refused(
    tiny: Callable[..., Any], make: Callable[[Any], Any], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        decoder_linears(make(tiny("llama")))


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
