"""Rewrite every linear layer of the decoder blocks as a function of its weights alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..models.decoder import decoder_linears, other_matrices
from .attack import AttackContext
from .calibration import probe
from .damage import Damage

__all__ = ["rewrite_linears"]


def rewrite_linears(
    model: Any, context: AttackContext, new_weight: Callable[[Tensor], Tensor], what: str, *, quantises: bool
) -> dict[str, Any]:
    """Replace W by `new_weight(W)` in every linear layer of the decoder blocks.

    Args:
        model: a causal language model.
        context: text on which perplexity is measured, and progress bar.
        new_weight: function of W [out, in], in the model's dtype, that gives the new values in the same shape and any
            float dtype.
        what: label of the progress bar.
        quantises: whether the attack is a quantiser, whose report flags an explosion of perplexity.

    Returns:
        Number of layers, mean ‖ΔW‖/‖W‖ per tensor class, perplexities, fallbacks and flags.

    Raises:
        ModelError: the weights cannot be rewritten.
    """
    layers = decoder_linears(model)
    damage = Damage(model, probe(context), quantises=quantises)
    with torch.no_grad():
        for i, layer in enumerate(layers):
            before = layer.weight.clone()
            layer.write(new_weight(before))
            change = (layer.weight - before).float().norm() / before.float().norm()
            damage.note(layer.name, relative_weight_error=float(change))
            context.progress(i + 1, len(layers), what)
    for name in other_matrices(model):
        damage.fall_back("not_a_linear_layer_left_as_is", name)
    return {"layers": len(layers), **damage.report()}
