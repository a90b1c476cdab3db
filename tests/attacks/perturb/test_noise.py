from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from robust_unlearn_bench.attacks import AttackContext, parse
from robust_unlearn_bench.attacks.perturb.noise import Noise
from robust_unlearn_bench.errors import ConfigError


def _attacked(tiny: Callable[..., Any], context: AttackContext, attack: Noise, **changes: Any) -> dict[str, Any]:
    model = tiny("llama", **changes)
    attack.apply(model, context)
    return dict(model.named_parameters())


def test_noise_has_the_asked_share_of_each_tensors_spread(tiny: Callable[..., Any], context: AttackContext) -> None:
    before = dict(tiny("llama").named_parameters())
    for name, after in _attacked(tiny, context, Noise(percent=10)).items():
        noise = (after - before[name]).detach()
        if before[name].dim() == 1:  # fresh norms are all ones: no spread
            assert not noise.any()
        else:  # the standard error of an SD over n values is 1/√(2n)
            n, share = noise.numel(), float(noise.std() / before[name].detach().std())
            assert share == pytest.approx(0.1, rel=5 / (2 * n) ** 0.5)
            assert abs(float(noise.mean())) < 5 * float(noise.std()) / n**0.5


def test_a_tensors_noise_depends_on_seed_and_name_alone(tiny: Callable[..., Any], context: AttackContext) -> None:
    state = torch.random.get_rng_state()
    first = _attacked(tiny, context, Noise())
    again = _attacked(tiny, context, Noise())
    shallow = _attacked(tiny, context, Noise(), num_hidden_layers=1)
    other = _attacked(tiny, context, Noise(seed=1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["lm_head.weight"], other["lm_head.weight"])
    name = "lm_head.weight"  # the last tensor: fewer are drawn before it in the shallow model
    old, old_shallow = tiny("llama").lm_head.weight, tiny("llama", num_hidden_layers=1).lm_head.weight
    torch.testing.assert_close(
        (first[name] - old) / old.std(), (shallow[name] - old_shallow) / old_shallow.std(), rtol=1e-3, atol=1e-5
    )
    assert torch.equal(state, torch.random.get_rng_state())


def test_tied_embeddings_move_once_and_bf16_is_kept(tiny: Callable[..., Any], context: AttackContext) -> None:
    model = tiny("llama", tie_word_embeddings=True).to(torch.bfloat16)
    before = model.get_input_embeddings().weight.detach().clone().float()
    report = Noise(percent=10).apply(model, context)
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
    assert model.dtype == torch.bfloat16
    moved = float((model.get_input_embeddings().weight.float() - before).detach().std() / before.std())
    assert moved == pytest.approx(0.1, rel=0.05)
    assert report["relative_weight_error"]["mlp.up_proj"] == pytest.approx(0.1, rel=0.1)


def test_no_noise_is_refused() -> None:
    with pytest.raises(ConfigError, match="percent=0"):
        parse("noise0")
