from __future__ import annotations

import builtins
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from robust_unlearn_bench.attacks import AttackContext, parse
from robust_unlearn_bench.attacks.quantise.bnb import BnbFP4, BnbInt8, BnbNF4
from robust_unlearn_bench.errors import ConfigError, MissingExtraError
from robust_unlearn_bench.models.decoder import Linear, decoder_linears


@pytest.fixture(name="bnb")
def _bnb() -> Any:
    return pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("attack", "kind"), [(BnbFP4(), "fp4"), (BnbNF4(), "nf4")])
def test_four_bit_weights_equal_those_of_a_bitsandbytes_layer(
    bnb: Any, tiny: Callable[..., Any], context: AttackContext, attack: Any, kind: str, dtype: torch.dtype
) -> None:
    # Rows of whole blocks: bitsandbytes' own layers are wrong on CPU where rows are no multiple of 64 (see below).
    model, original = (tiny("llama", hidden_size=64, intermediate_size=128).to(dtype) for _ in range(2))
    report = attack.apply(model, context)
    for new, old in zip(decoder_linears(model), decoder_linears(original), strict=True):
        layer = bnb.nn.Linear4bit(*old.weight.shape[::-1], bias=False, compress_statistics=False, quant_type=kind)
        layer.weight = bnb.nn.Params4bit(
            old.weight.clone(), requires_grad=False, quant_type=kind, compress_statistics=False, blocksize=64
        )
        layer = layer.to("cpu")
        theirs = bnb.functional.dequantize_4bit(layer.weight.data, layer.weight.quant_state)
        assert torch.equal(new.weight, theirs)
    assert report["effective_bits"] <= 4
    assert torch.equal(model.lm_head.weight, original.lm_head.weight)
    assert torch.equal(model.model.embed_tokens.weight, original.model.embed_tokens.weight)


def test_int8_weights_equal_those_of_a_bitsandbytes_layer(
    bnb: Any, tiny: Callable[..., Any], context: AttackContext
) -> None:
    model, original = tiny("llama"), tiny("llama")
    report = BnbInt8().apply(model, context)
    for new, old in zip(decoder_linears(model), decoder_linears(original), strict=True):
        layer = bnb.nn.Linear8bitLt(*old.weight.shape[::-1], bias=False, has_fp16_weights=False)
        layer.weight = bnb.nn.Int8Params(old.weight.clone(), requires_grad=False, has_fp16_weights=False)
        layer = layer.to("cpu")
        theirs = layer.weight.CB.float() * layer.weight.SCB[:, None] / 127
        torch.testing.assert_close(new.weight, theirs, rtol=1e-6, atol=0)
    assert 5 < report["effective_bits"] < 8


def test_conv1d_is_quantised_as_the_linear_layer_that_it_is(
    bnb: Any, tiny: Callable[..., Any], context: AttackContext
) -> None:
    model, original = tiny("gpt2", n_embd=64), tiny("gpt2", n_embd=64)
    BnbNF4().apply(model, context)
    stored = original.transformer.h[0].mlp.c_fc.weight.detach()  # [in, out]
    codes, state = bnb.functional.quantize_4bit(stored.T.contiguous(), blocksize=64, quant_type="nf4")
    assert torch.equal(model.transformer.h[0].mlp.c_fc.weight.T, bnb.functional.dequantize_4bit(codes, state))


@pytest.mark.parametrize("shape", [(32, 96), (7, 50), (1, 20)])
def test_rows_that_are_no_multiple_of_the_block_are_quantised_in_flat_blocks(
    bnb: Any, tiny: Callable[..., Any], context: AttackContext, shape: tuple[int, int]
) -> None:
    model = tiny("llama")
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    model.model.layers[0].self_attn.q_proj.weight.data = weight.clone()
    layer = Linear("q", model.model.layers[0].self_attn.q_proj, transposed=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("robust_unlearn_bench.attacks.data_free_rewrite.decoder_linears", lambda model: [layer])
        patch.setattr("robust_unlearn_bench.attacks.data_free_rewrite.other_matrices", lambda model: [])
        patch.setattr("robust_unlearn_bench.attacks.damage.perplexity", lambda model, windows: 1.0)
        report = BnbNF4().apply(model, context)
    levels = bnb.functional.get_4bit_type("nf4", device="cpu")
    for new, old in zip(layer.weight.flatten().split(64), weight.flatten().split(64), strict=True):
        scaled = old / old.abs().max()
        nearest = levels[(scaled[:, None] - levels).abs().argmin(dim=1)] * old.abs().max()
        torch.testing.assert_close(new, nearest, rtol=1e-5, atol=1e-6)
    assert report["effective_bits"] <= 4


def test_double_quantisation_and_block_size_change_the_weights(
    bnb: Any, tiny: Callable[..., Any], context: AttackContext
) -> None:
    weights = []
    for attack in (BnbNF4(), BnbNF4(double_quant=True), BnbNF4(block_size=256)):
        model = tiny("llama")
        report = attack.apply(model, context)
        assert report["effective_bits"] <= 4
        weights.append(model.model.layers[0].mlp.up_proj.weight.detach())
    assert not torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_fp4_has_fifteen_values(bnb: Any, tiny: Callable[..., Any], context: AttackContext) -> None:
    report = BnbFP4(block_size=512).apply(tiny("llama"), context)  # sign + 3 bits, and zero has no sign
    assert report["effective_bits"] == pytest.approx(math.log2(15))
    assert report["bitsandbytes"] == bnb.__version__


def test_unknown_block_size_is_named() -> None:
    with pytest.raises(ConfigError, match=r"bnb_nf4 block_size=100 .* 64"):
        parse("bnb_nf4(block_size=100)")


def test_missing_bitsandbytes_says_what_to_install(
    tiny: Callable[..., Any], context: AttackContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("bitsandbytes"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r"attack bnb_fp4 needs bitsandbytes.*pip install bitsandbytes$"):
        BnbFP4().apply(tiny("llama"), context)
