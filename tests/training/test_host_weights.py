"""Masters in CPU memory change no bit of a run, and leave only images and one gradient on the device."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from robust_unlearn_bench.errors import ConfigError
from robust_unlearn_bench.optimizers.directions import Direction
from robust_unlearn_bench.optimizers.perturbation import mirrored_, moved_, restored
from robust_unlearn_bench.suites.corpus import Example
from robust_unlearn_bench.training.encoding import encode
from robust_unlearn_bench.training.finetune import FinetuneConfig, Finetuning
from robust_unlearn_bench.training.host_weights import HostWeights, image_dtypes
from robust_unlearn_bench.training.lora import adapter
from robust_unlearn_bench.training.model_view import without_dropout
from robust_unlearn_bench.training.placement import Placement
from robust_unlearn_bench.training.precision import trainable

TEXTS = [Example(f"the {a} {b} sang in the river") for a in ("old", "new", "iron") for b in ("baker", "tower", "river")]
CONFIG = FinetuneConfig(steps=4, lr=1e-2, batch_size=4, schedule="cosine", precision="bf16_autocast", seed=3)
HOST = Placement("host")

Model = Any


def trained(model: Model, tokenizer: Any, config: FinetuneConfig, placement: Placement, **stop: Any) -> list[float]:
    """Losses and gradient norms; `stop` evaluates the model as stored after that many steps."""
    seen = []
    with Finetuning(model, encode(TEXTS, tokenizer, 64), config, placement) as run:
        for step in run:
            seen += [step.forget, step.norm]
            if step.number == stop.get("after"):
                with run.weights.as_stored():
                    seen.append(float(model(torch.tensor([[0, 5, 6]])).logits.detach().float().sum()))
    return seen


def assert_equal(a: Model, b: Model) -> None:
    for (name, p), q in zip(a.named_parameters(), b.parameters(), strict=True):
        assert torch.equal(p, q), name
        assert p.dtype == q.dtype
        assert p.grad is None


@pytest.mark.parametrize("precision", ["fp32", "bf16_autocast", "bf16_pure", "bf16_kahan"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("tied", [True, False])
def test_full_training_is_bit_equal(
    tiny_llama: Callable[..., Model], tiny_tokenizer: Any, precision: Any, dtype: torch.dtype, tied: bool
) -> None:
    config = replace(CONFIG, precision=precision)
    ours, theirs = (tiny_llama(tied=tied, dtype=dtype) for _ in range(2))
    start = copy.deepcopy(ours)
    seen = trained(ours, tiny_tokenizer, config, HOST, after=2)
    assert seen == trained(theirs, tiny_tokenizer, config, Placement(), after=2)
    assert min(seen[1::2][:1]) > 1.0, "the gradient is clipped, which needs the norm of all of them"
    assert_equal(ours, theirs)
    assert not torch.equal(ours.model.layers[0].mlp.up_proj.weight, start.model.layers[0].mlp.up_proj.weight)


@pytest.mark.parametrize("placement", [Placement("host", recompute=True), Placement("host", micro_batch=1)])
def test_so_are_parts_and_recomputed_activations(
    tiny_llama: Callable[..., Model], tiny_tokenizer: Any, placement: Placement
) -> None:
    ours, theirs = tiny_llama(), tiny_llama()
    seen = trained(ours, tiny_tokenizer, CONFIG, placement)
    assert seen == trained(theirs, tiny_tokenizer, CONFIG, replace(placement, masters="device"))
    assert_equal(ours, theirs)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_an_adapter_is_trained_bit_equal(
    tiny_llama: Callable[..., Model], tiny_tokenizer: Any, dtype: torch.dtype
) -> None:
    pytest.importorskip("peft")
    models = [tiny_llama(dtype=dtype) for _ in range(2)]
    seen = []
    for model, placement in zip(models, (HOST, Placement()), strict=True):
        with adapter(model, 4, 8, 0, "this test"):
            seen.append(trained(model, tiny_tokenizer, replace(CONFIG, lr=3e-2), placement))
    assert seen[0] == seen[1]
    assert_equal(*models)
    assert not torch.equal(models[0].lm_head.weight, models[0].model.layers[0].mlp.up_proj.weight)


def test_weights_without_gradient_and_frozen_ones_stay(tiny_llama: Callable[..., Model], tiny_tokenizer: Any) -> None:
    model = tiny_llama(dtype=torch.bfloat16)
    model.extra = torch.nn.Parameter(torch.randn(5))
    frozen = model.model.layers[0].mlp.up_proj.weight
    frozen.requires_grad_(False)
    kept = frozen.detach().clone(), model.extra.detach().clone()
    trained(model, tiny_tokenizer, CONFIG, HOST)
    assert torch.equal(frozen, kept[0])
    assert torch.equal(model.extra, kept[1])


def test_only_weights_of_linear_layers_are_narrow(tiny_llama: Callable[..., Model]) -> None:
    for tied in (False, True):
        model = tiny_llama(tied=tied)
        found = image_dtypes(model, dict(model.named_parameters()), "bf16_autocast")
        wide = {name for name, dtype in found.items() if dtype == torch.float32}
        assert wide == {name for name in found if "norm" in name or "embed" in name}
        assert ("lm_head.weight" in found) is not tied


def test_images_follow_every_way_in_which_a_rule_changes_weights(tiny_llama: Callable[..., Model]) -> None:
    """In-place arithmetic raises a tensor's version; fused AdamW does not, and is noted when it has stepped."""
    model = tiny_llama()
    parameters = trainable(model)
    name = "model.layers.0.mlp.up_proj.weight"
    with HostWeights(model, parameters, "bf16_autocast") as weights:
        masters = weights.masters
        optimizer = torch.optim.AdamW(masters.values(), lr=0.1, fused=True)
        weights.around((optimizer,))

        def image_is_current() -> bool:
            with weights.compute():
                pass
            assert parameters[name].dtype == torch.bfloat16
            return torch.equal(parameters[name], masters[name].detach().bfloat16())

        master, before = masters[name], masters[name].detach().clone()
        one = torch.ones_like(master)
        with restored(masters):
            moved_(master, before, one, 0.5)
            assert image_is_current()
            assert float((parameters[name].float() - before).mean().detach()) == pytest.approx(0.5, abs=1e-2)
            with torch.no_grad():
                mirrored_(master, before)
            assert image_is_current()
            assert float((parameters[name].float() - before).mean().detach()) == pytest.approx(-0.5, abs=1e-2)
        assert image_is_current()
        assert torch.equal(parameters[name], before.bfloat16())
        for m in masters.values():
            m.grad = torch.ones_like(m)
        optimizer.step()
        assert image_is_current()
        assert not torch.equal(parameters[name], before.bfloat16())


def test_gradients_leave_the_device_and_add_up(tiny_llama: Callable[..., Model]) -> None:
    ours, theirs = tiny_llama(), tiny_llama()
    ids = torch.tensor([[0, 5, 6, 7]])
    with HostWeights(ours, trainable(ours), "fp32") as weights, without_dropout(ours):
        for _ in range(2):
            ours(ids, labels=ids).loss.backward()
            assert all(p.grad is None for p in ours.parameters())
            theirs(ids, labels=ids).loss.backward()
        for name, p in theirs.named_parameters():
            assert torch.equal(weights.masters[name].grad, p.grad)  # type: ignore[arg-type]
    assert weights.masters == {}


def test_weights_come_back_after_an_exception(tiny_llama: Callable[..., Model]) -> None:
    model = tiny_llama(dtype=torch.bfloat16)
    before = [(p, p.detach().clone()) for p in model.parameters()]
    with pytest.raises(ZeroDivisionError), HostWeights(model, trainable(model), "bf16_autocast"):
        raise ZeroDivisionError
    for p, values in before:
        assert torch.equal(p, values)
        assert p._backward_hooks is None
    model(torch.tensor([[0, 1]])).logits.sum().backward()
    assert before[0][0].grad is not None, "the hooks are gone"


def test_directions_are_drawn_where_a_weight_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Generators differ between devices, and masters in CPU memory must get the device's draws."""
    asked = []
    original = torch.Generator

    def generator(device: Any) -> torch.Generator:
        asked.append(torch.device(device))
        return original("cpu")

    monkeypatch.setattr(torch, "Generator", generator)
    master: Any = torch.nn.Parameter(torch.zeros(3))
    master.computed_on = torch.device("cuda", 1)
    direction = Direction("gaussian", 0, 0, 0, {"w": master})
    with pytest.raises((RuntimeError, AssertionError)):  # there is no such device here
        direction["w"]
    assert asked == [torch.device("cuda", 1)]


def test_kahan_still_refuses_decay(tiny_llama: Callable[..., Model]) -> None:
    model = tiny_llama()
    with (
        HostWeights(model, trainable(model), "bf16_kahan") as weights,
        pytest.raises(ConfigError, match="weight_decay 0"),
    ):
        weights.around((torch.optim.AdamW(weights.masters.values(), weight_decay=0.1),))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("placement", [HOST, Placement("host", recompute=True, micro_batch=1)])
def test_on_cuda_it_changes_only_the_rounding_of_updates(
    tiny_llama: Callable[..., Model], tiny_tokenizer: Any, placement: Placement
) -> None:
    """Passes are the same bit for bit; AdamW's kernel for the CPU may round differently from that for CUDA."""
    ours, theirs = tiny_llama().cuda(), tiny_llama().cuda()
    seen = trained(ours, tiny_tokenizer, CONFIG, placement)
    expected = trained(theirs, tiny_tokenizer, CONFIG, replace(placement, masters="device"))
    assert seen[0] == expected[0]
    assert seen == pytest.approx(expected, rel=1e-2)
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-2, atol=1e-3)
