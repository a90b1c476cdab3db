"""Every warning and every fallback that a result may report, with what it means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

__all__ = ["FALLBACKS", "FLAGS", "Fallback"]


class Fallback(NamedTuple):
    """What was done in place of what was asked.

    Attributes:
        value: form of what is reported under the reason.
        meaning: what happened instead.
    """

    value: str
    meaning: str


FLAGS: Mapping[str, str] = {
    "relearn_loss_did_not_fall": "the training loss after a training attack is not below the one before: the attack did "
    "not train",
    "quantised_perplexity_exploded": "a quantiser more than doubled the retain perplexity: the model is broken, "
    "forgetting is no merit",
    "attack_changed_nothing": "no weight moved",
    "non_finite": "a weight or the perplexity is NaN or infinite",
}
"""Flag → meaning; flags stand under `flags` in the diagnostics of a step."""

FALLBACKS: Mapping[str, Fallback] = {
    "dead_columns": Fallback(
        "{layer: n}", "n inputs were never excited by the calibration text; their weights are rounded to nearest"
    ),
    "damping_raised": Fallback(
        "{layer: λ}", "the Hessian was not positive definite; damping went up to 10, then 100 times as much"
    ),
    "hessian_not_positive_definite_rounded_to_nearest": Fallback(
        "[layers]", "no damping helped, or the Hessian is not finite (activations overflow)"
    ),
    "no_calibration_token_rounded_to_nearest": Fallback(
        "[layers]", "no token reached the layer (an expert that was never chosen)"
    ),
    "no_calibration_token_pruned_by_magnitude": Fallback("[layers]", "the same, for `prune`"),
    "not_a_linear_layer_left_as_is": Fallback(
        "[names]", "a weight matrix of the decoder that no Linear owns (fused experts, convolutions)"
    ),
    "llmcompressor_ignores": Fallback("[parameters]", "llm-compressor does not honour these parameters of `gptq`"),
    "gptqmodel_ignores": Fallback("[parameters]", "gptqmodel does not honour these parameters of `gptq`"),
}
"""Reason → what stands under it in `fallbacks`, and what it means."""
