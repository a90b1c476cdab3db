from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from robust_unlearn_bench.attacks import AttackContext
from robust_unlearn_bench.attacks.data_free_rewrite import rewrite_linears


def test_relative_error_is_that_of_the_written_weights(tiny: Callable[..., Any], context: AttackContext) -> None:
    report = rewrite_linears(tiny("gpt2"), context, lambda weight: weight * 1.25, "layers", quantises=False)
    assert report["layers"] == 8
    assert all(abs(error - 0.25) < 1e-6 for error in report["relative_weight_error"].values())


def test_identity_leaves_every_bit_and_other_matrices_are_reported(
    tiny: Callable[..., Any], context: AttackContext
) -> None:
    model = tiny("llama")
    model.model.layers[0].fused = torch.nn.Parameter(torch.ones(2, 3, 4))
    report = rewrite_linears(model, context, torch.clone, "layers", quantises=True)
    assert report["fallbacks"] == {"not_a_linear_layer_left_as_is": ["model.layers.0.fused"]}
    assert report["perplexity"]["before"] == report["perplexity"]["after"]
    plain = dict(tiny("llama").named_parameters())
    assert all(torch.equal(p, plain[n]) for n, p in model.named_parameters() if n in plain)


def test_an_explosion_is_flagged_for_quantisers_only(tiny: Callable[..., Any], context: AttackContext) -> None:
    def sure() -> Any:  # a model that predicts nothing at all: perplexity is the size of the vocabulary
        model = tiny("llama")
        with torch.no_grad():
            model.lm_head.weight.mul_(0.01)
        return model

    def broken(model: Any) -> Any:
        handle: list[Any] = []

        def shout(weight: torch.Tensor) -> torch.Tensor:
            if not handle:  # the head is no decoder layer, so the harm is done beside the rewrite
                handle.append(model.lm_head.weight.mul_(1000.0))
            return weight

        return shout

    for quantises, flags in ((True, ["quantised_perplexity_exploded"]), (False, [])):
        model = sure()
        assert rewrite_linears(model, context, broken(model), "layers", quantises=quantises)["flags"] == flags
