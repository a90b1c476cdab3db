from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import DynamicCache

from robust_unlearn_bench.attacks.blockwise import BATCH_TOKENS, batches, walk
from robust_unlearn_bench.attacks.quantise.hessian import Hessian
from robust_unlearn_bench.errors import ModelError
from robust_unlearn_bench.models.decoder import Linear, decoder_blocks, decoder_linears
from robust_unlearn_bench.training.model_view import evaluating


def _windows(count: int, length: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randint(3, 97, (length,), generator=generator) for _ in range(count)]


def _hessians_of_plain_forwards(model: Any, windows: list[Tensor]) -> dict[str, Tensor]:
    """The same sums from the model's own forward, one window at a time."""
    sums = {layer.name: Hessian(layer.weight.shape[1], torch.device("cpu")) for layer in decoder_linears(model)}
    with ExitStack() as hooks, torch.no_grad():
        for layer in decoder_linears(model):

            def hook(module: Any, args: tuple[Tensor], name: str = layer.name) -> None:
                sums[name].add(args[0].reshape(-1, args[0].shape[-1]))

            hooks.callback(layer.module.register_forward_pre_hook(hook).remove)
        for window in windows:
            model(input_ids=window[None])
    return {name: hessian.matrix for name, hessian in sums.items()}


@pytest.mark.parametrize("true_sequential", [True, False])
def test_every_layer_sees_what_it_sees_in_the_model(
    tiny: Callable[..., Any], architecture: str, true_sequential: bool
) -> None:
    model = tiny(architecture)
    windows = [*_windows(5, 20), *_windows(2, 11)]
    seen: dict[str, Tensor] = {}
    unreached = walk(
        model,
        windows,
        Hessian,
        lambda layer, hessian: seen.update({layer.name: hessian.matrix.clone()}),
        true_sequential=true_sequential,
    )
    expected = _hessians_of_plain_forwards(model, windows)
    assert unreached == []
    assert seen.keys() == expected.keys()
    for name, hessian in expected.items():
        torch.testing.assert_close(seen[name], hessian, rtol=1e-4, atol=1e-4 * float(hessian.abs().max()), msg=name)


def test_true_sequential_layers_see_earlier_ones_rewritten(tiny: Callable[..., Any]) -> None:
    model, windows = tiny("llama"), _windows(3, 12)
    order: list[str] = []

    def halve(layer: Linear, hessian: Hessian) -> None:
        order.append(layer.name)
        now = _hessians_of_plain_forwards(model, windows)[layer.name]
        torch.testing.assert_close(hessian.matrix, now, rtol=1e-4, atol=1e-4 * float(now.abs().max()))
        layer.write(layer.weight / 2)

    # Within a stage the first write must not reach the others' inputs: q, k, v read the same tensor.
    walk(model, windows, Hessian, halve)
    assert [name.rpartition(".")[2] for name in order[:7]] == [
        *("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    ]


def test_layers_that_read_one_tensor_share_one_statistic(tiny: Callable[..., Any]) -> None:
    by_statistic: dict[int, list[str]] = {}
    kept: list[Hessian] = []

    def note(layer: Linear, hessian: Hessian) -> None:
        kept.append(hessian)
        by_statistic.setdefault(id(hessian), []).append(layer.name.rpartition(".")[2])

    walk(tiny("llama", num_hidden_layers=1), _windows(2, 8), Hessian, note)
    assert list(by_statistic.values()) == [
        ["q_proj", "k_proj", "v_proj"],
        ["o_proj"],
        ["gate_proj", "up_proj"],
        ["down_proj"],
    ]


def test_progress_counts_blocks(tiny: Callable[..., Any]) -> None:
    calls: list[tuple[int, int, str]] = []
    walk(
        tiny("gpt2"),
        _windows(1, 6),
        Hessian,
        lambda layer, hessian: None,
        progress=lambda *call: calls.append(call),
        what="blocks of gptq4",
    )
    assert calls == [(1, 2, "blocks of gptq4"), (2, 2, "blocks of gptq4")]


def test_a_layer_that_no_token_reaches_is_returned_and_left_alone(tiny: Callable[..., Any]) -> None:
    model = tiny("llama")
    block = decoder_blocks(model)[1][1]
    block.add_module("expert", torch.nn.Linear(4, 4))
    rewritten: list[str] = []
    unreached = walk(model, _windows(2, 8), Hessian, lambda layer, hessian: rewritten.append(layer.name))
    assert [layer.name for layer in unreached] == ["model.layers.1.expert"]
    assert len(rewritten) == 14


def test_blocks_that_are_skipped_or_fed_otherwise_are_refused(tiny: Callable[..., Any]) -> None:
    model = tiny("llama")
    norm = model.model.layers[1].register_forward_pre_hook(lambda module, args: (args[0] * 2, *args[1:]))
    with pytest.raises(ModelError, match="block by block"):
        walk(model, _windows(2, 8), Hessian, lambda layer, hessian: None)
    norm.remove()


def test_text_dependent_block_arguments_are_refused(tiny: Callable[..., Any]) -> None:
    model = tiny("llama")
    embedding = model.get_input_embeddings()

    def lend(module: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        return args, {**kwargs, "attention_mask": None, "per_layer_input": lent[0]}

    lent: list[Tensor] = []
    embedding.register_forward_hook(lambda module, args, output: lent.insert(0, output))
    for block in model.model.layers:
        block.register_forward_pre_hook(lend, with_kwargs=True)
    windows = _windows(2, BATCH_TOKENS)  # one window a batch
    with pytest.raises(ModelError, match="text-dependent"):
        walk(model, windows, Hessian, lambda layer, hessian: None)


def test_a_cache_that_blocks_receive_is_not_read_again(
    tiny: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("robust_unlearn_bench.attacks.blockwise.BATCH_TOKENS", 9)  # one window a batch
    model, plain = tiny("llama"), tiny("llama")
    model.model.register_forward_pre_hook(
        lambda module, args, kwargs: (args, {**kwargs, "past_key_values": DynamicCache()}), with_kwargs=True
    )
    windows, seen, expected = _windows(3, 9), {}, {}
    walk(model, windows, Hessian, lambda layer, hessian: seen.update({layer.name: hessian.matrix}))
    walk(plain, windows, Hessian, lambda layer, hessian: expected.update({layer.name: hessian.matrix}))
    assert all(torch.equal(seen[name], expected[name]) for name in expected)


def test_batches_stack_neighbours_of_one_length() -> None:
    windows = [*_windows(3, BATCH_TOKENS // 2), *_windows(1, 7), *_windows(2, 9)]
    assert [tuple(batch.shape) for batch in batches(windows)] == [
        (2, BATCH_TOKENS // 2),
        (1, BATCH_TOKENS // 2),
        (1, 7),
        (2, 9),
    ]


def test_modes_are_as_before_afterwards(tiny: Callable[..., Any]) -> None:
    model = tiny("llama").train()
    model.model.norm.eval()

    def fail_inside() -> None:
        with evaluating(model):
            assert not any(module.training for module in model.modules())
            raise KeyError

    with pytest.raises(KeyError):
        fail_inside()
    assert [name for name, module in model.named_modules() if not module.training] == ["model.norm"]
    model.eval()
