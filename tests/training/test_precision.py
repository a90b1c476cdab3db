"""The precision of a run is internal to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from robust_unlearn_bench.errors import ConfigError, ModelError
from robust_unlearn_bench.training.precision import Weights, fold, trainable


class Net(nn.Module):
    def __init__(self, value: float, size: int = 8, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.full((size,), value, dtype=dtype))


def descend(precision: Any, dtype: torch.dtype, steps: int = 100) -> float:
    """Distance that sign-like steps of 1e-4 carry a weight of 1, out of 100 · 1e-4 = .01."""
    net = Net(1.0, dtype=dtype)
    parameters = trainable(net)
    with Weights(net, parameters, precision) as weights:
        optimizer = torch.optim.SGD(net.parameters(), lr=1e-4)
        weights.around((optimizer,))
        for _ in range(steps):
            net.w.grad = torch.ones_like(net.w)
            optimizer.step()
            assert net.w.dtype == (torch.float32 if precision in ("fp32", "bf16_autocast") else torch.bfloat16)
    assert net.w.dtype == dtype
    return 1.0 - net.w[0].double().item()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_small_steps_survive_in_masters_and_kahan_but_not_in_pure_bf16(dtype: torch.dtype) -> None:
    """Below 1, bf16 has a spacing of 2^-8 = .0039, so a step of 1e-4 rounds away; .01 rounds to .0117 or .0078."""
    assert descend("bf16_pure", dtype) == 0.0
    close = 1e-5 if dtype == torch.float32 else 2**-9
    assert descend("fp32", dtype) == pytest.approx(0.01, abs=close)
    assert descend("bf16_autocast", dtype) == pytest.approx(0.01, abs=close)
    assert descend("bf16_kahan", dtype) == pytest.approx(0.01, abs=2**-8)


@pytest.mark.parametrize("precision", ["fp32", "bf16_autocast", "bf16_pure", "bf16_kahan"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_objects_names_dtypes_and_tying_are_kept(tiny_llama: Callable[..., Any], precision: Any, dtype: Any) -> None:
    model = tiny_llama(tied=True, dtype=dtype)
    before = dict(model.named_parameters())
    with Weights(model, trainable(model), precision):
        pass
    after = dict(model.named_parameters())
    assert list(before) == list(after)
    assert all(before[name] is after[name] and after[name].dtype == dtype for name in before)
    assert model.lm_head.weight is model.model.embed_tokens.weight


def test_as_stored_rounds_for_the_reader_and_training_goes_on_unrounded() -> None:
    net = Net(1.0, dtype=torch.bfloat16)
    with Weights(net, trainable(net), "bf16_autocast") as weights:
        net.w.data += 1e-3
        with weights.as_stored():
            assert net.w.dtype == torch.bfloat16
            assert net.w[0].item() == 1.0
        assert net.w[0].item() == pytest.approx(1.001)


def test_as_stored_left_by_an_exception_keeps_what_was_restored_inside() -> None:
    net = Net(1.0, dtype=torch.bfloat16)

    def interrupted() -> None:
        with Weights(net, trainable(net), "bf16_autocast") as weights:
            net.w.data += 1.0
            with weights.as_stored():
                net.w.data.fill_(7.0)
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert net.w.dtype == torch.bfloat16
    assert net.w[0].item() == 7.0


def test_frozen_weights_stay_uncast_under_autocast() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)).bfloat16()
    net[0].requires_grad_(False)
    parameters = trainable(net)
    assert list(parameters) == ["1.weight", "1.bias"]
    with Weights(net, parameters, "bf16_autocast"):
        assert net[0].weight.dtype == torch.bfloat16
        assert net[1].weight.dtype == torch.float32


def test_refusals() -> None:
    net = Net(float("nan"))
    with pytest.raises(ModelError, match="weight w is not finite"):
        trainable(net)
    net = Net(1.0)
    net.register_parameter("q", nn.Parameter(torch.zeros(2, dtype=torch.uint8), requires_grad=False))
    with pytest.raises(ModelError, match=r"q has dtype torch.uint8.*load the unquantised"):
        trainable(net)
    with pytest.raises(ModelError, match="unfreeze"):
        trainable(Net(1.0).requires_grad_(False))
    net = Net(1.0)
    with pytest.raises(ConfigError, match=r"'bf16'.*fp32"):
        Weights(net, trainable(net), "bf16")
    with Weights(net, trainable(net), "bf16_kahan") as weights, pytest.raises(ConfigError, match="weight_decay 0"):
        weights.around((torch.optim.AdamW(net.parameters(), weight_decay=0.1),))


def test_what_rounding_loses_is_carried_along() -> None:
    """Next to 1, bf16 has a spacing of 2^-7: three eighths of it are kept back, and six eighths are added as a whole."""
    weight, lost = torch.ones(1, dtype=torch.bfloat16), torch.zeros(1, dtype=torch.bfloat16)
    step = 3 * 2**-10
    for expected in ((1.0, step), (1 + 2**-7, 2 * step - 2**-7)):
        lost += step
        fold(weight, lost)
        assert (weight.item(), lost.item()) == expected
