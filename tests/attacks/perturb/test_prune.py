from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import torch

from robust_unlearn_bench.attacks import AttackContext, parse
from robust_unlearn_bench.attacks.perturb.prune import Prune, magnitude_pruned, wanda_pruned
from robust_unlearn_bench.errors import ConfigError
from robust_unlearn_bench.models.decoder import decoder_linears


def test_wanda_by_hand() -> None:
    # |W|·‖X‖: rows 4 0 8 3, 3 4 8 9 and 3 2 0 6; the two smallest of each go.
    weight = torch.tensor([[4.0, 0.0, 1.0, -1.0], [3.0, -2.0, -1.0, -3.0], [-3.0, 1.0, 0.0, 2.0]])
    norms = torch.tensor([1.0, 2.0, 8.0, 3.0])
    assert wanda_pruned(weight, norms, 0.5).tolist() == [
        [4.0, 0.0, 1.0, 0.0],
        [0.0, 0.0, -1.0, -3.0],
        [-3.0, 0.0, 0.0, 2.0],
    ]


def test_magnitude_by_hand() -> None:
    weight = torch.tensor([[4.0, 0.1, -1.0], [-3.0, 0.2, 5.0]])
    assert magnitude_pruned(weight, 0.5).tolist() == [[4.0, 0.0, 0.0], [-3.0, 0.0, 5.0]]


def test_counts_are_exact_whatever_floating_point_says() -> None:
    weight = torch.rand(3, 100, generator=torch.Generator().manual_seed(0)) + 1
    for percent in range(1, 100):  # 0.29 · 100 = 28.999999999999996
        pruned = wanda_pruned(weight, torch.ones(100), percent / 100)
        assert (pruned == 0).sum(dim=1).tolist() == [percent] * 3
        assert int((magnitude_pruned(weight, percent / 100) == 0).sum()) == 3 * percent


@pytest.mark.parametrize("method", ["wanda", "magnitude"])
def test_every_architecture_reaches_the_sparsity(
    tiny: Callable[..., Any], context: AttackContext, architecture: str, method: Any
) -> None:
    model, original = tiny(architecture), tiny(architecture)
    report = Prune(percent=25, method=method).apply(model, context)
    assert report["sparsity"] == 0.25
    assert ("calibration" in report) == (method == "wanda")
    for new, old in zip(decoder_linears(model), decoder_linears(original), strict=True):
        kept = new.weight != 0
        assert torch.equal(new.weight[kept], old.weight[kept])
        if method == "wanda":
            assert (~kept).sum(dim=1).tolist() == [kept.shape[1] // 4] * len(kept)
    assert torch.equal(model.get_output_embeddings().weight, original.get_output_embeddings().weight)
    json.dumps(report, allow_nan=False)


def test_wanda_takes_the_activations_of_the_pruned_blocks_before_it_and_of_the_dense_block_itself(
    tiny: Callable[..., Any], context: AttackContext
) -> None:
    from robust_unlearn_bench.attacks.calibration import calibrate

    model, twin = tiny("llama"), tiny("llama")
    Prune(percent=50, samples=7).apply(model, context)
    windows = calibrate(context, "retain", 7, 2048, 0).windows
    for block in twin.model.layers:
        squares: dict[Any, torch.Tensor] = {}
        hooks = []
        modules = [module for module in block.modules() if isinstance(module, torch.nn.Linear)]
        for module in modules:

            def add(m: Any, args: Any, sums: dict[Any, torch.Tensor] = squares) -> None:
                sums[m] = sums.get(m, 0) + args[0].flatten(0, 1).square().sum(dim=0)

            hooks.append(module.register_forward_pre_hook(add))
        with torch.no_grad():
            for window in windows:
                twin(input_ids=window[None])
        for hook in hooks:
            hook.remove()
        for module in modules:
            module.weight.data = wanda_pruned(module.weight.detach(), squares[module].sqrt(), 0.5)
    for ours, theirs in zip(decoder_linears(model), decoder_linears(twin), strict=True):
        assert float(((ours.weight == 0) == (theirs.weight == 0)).float().mean()) > 0.999


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("prune0", "percent=0"),
        ("prune100", "percent=100"),
        ("prune50(method=wnda)", "input should be 'wanda' or 'magnitude'"),
        ("prune50(samples=0)", "samples=0"),
        ("prune50(length=1)", "length=1"),
    ],
)
def test_values_out_of_range_are_named(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse(text)


def test_choices_are_checked_in_code_too() -> None:
    with pytest.raises(ConfigError, match="did you mean 'wanda'"):
        Prune(method="wnda")
    with pytest.raises(ConfigError, match="did you mean 'forget'"):
        Prune(calibration="forgot")
