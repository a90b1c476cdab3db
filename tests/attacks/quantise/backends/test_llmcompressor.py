from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch

from robust_unlearn_bench.attacks import AttackContext
from robust_unlearn_bench.attacks.quantise.gptq import GPTQ
from robust_unlearn_bench.models.decoder import decoder_linears

pytestmark = pytest.mark.slow
pytest.importorskip("llmcompressor", reason="llmcompressor is not installed (it needs its own environment)")


def _attacked(model: Any, context: AttackContext, attack: GPTQ) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    attacked = copy.deepcopy(model)
    report = attack.apply(attacked, context)
    return {layer.name: layer.weight for layer in decoder_linears(attacked)}, report


@pytest.mark.parametrize("bits", [4, 8])
def test_output_error_is_within_three_percent(
    backend_model: Any, backend_context: AttackContext, output_error: Callable[..., float], bits: int
) -> None:
    ours, _ = _attacked(backend_model, backend_context, GPTQ(bits, group_size=32))
    theirs, report = _attacked(backend_model, backend_context, GPTQ(bits, group_size=32, backend="llmcompressor"))
    assert output_error(ours) == pytest.approx(output_error(theirs), rel=0.03)
    assert report["fallbacks"]["llmcompressor_ignores"] == ["true_sequential", "static_groups"]
    assert report["effective_bits"] <= bits
    assert report["backend"].startswith("llmcompressor ")


@pytest.mark.parametrize(("act_order", "group_size"), [(False, 32), (True, 32), (False, -1)])
def test_with_its_recipe_the_weights_are_the_same(
    backend_model: Any, backend_context: AttackContext, act_order: bool, group_size: int
) -> None:
    recipe = {"group_size": group_size, "act_order": act_order, "static_groups": True, "true_sequential": False}
    ours, _ = _attacked(backend_model, backend_context, GPTQ(4, **recipe))
    theirs, report = _attacked(backend_model, backend_context, GPTQ(4, **recipe, backend="llmcompressor"))
    assert report["fallbacks"] == {}
    same = [torch.isclose(ours[name], theirs[name], rtol=1e-4, atol=1e-5).float().mean() for name in ours]
    assert min(map(float, same)) > 0.99
