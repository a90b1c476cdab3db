"""GPTQ by llm-compressor (the vLLM project's quantiser)."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ....errors import MissingExtraError
from ....models.checkpoint import load
from ....models.decoder import decoder_blocks, decoder_linears
from . import Parameters, Quantised

__all__ = ["quantise", "run"]


def quantise(checkpoint: Path, windows: Sequence[Tensor], attack: Parameters) -> Quantised:
    """Load the checkpoint and run `oneshot` on it.

    Raises:
        MissingExtraError: llmcompressor is not installed.
    """
    _llmcompressor()
    model = load(checkpoint).model
    run(model, windows, attack)
    ignored = ["true_sequential"] * attack.true_sequential + ["static_groups"] * (not attack.static_groups)
    weights = {layer.name: layer.weight for layer in decoder_linears(model)}
    return Quantised(weights, version("llmcompressor"), tuple(ignored))


def run(model: Any, windows: Sequence[Tensor], attack: Parameters) -> None:
    """Run `oneshot` with a `GPTQModifier`, one decoder block at a time, on a model that was loaded from a folder.

    Its group steps are always static, and all layers of a block are calibrated before any of them is quantised: with
    static_groups=True and true_sequential=False the built-in GPTQ gives the same weights. Afterwards the model has the
    dequantised weights and quantisation wrappers around its layers.

    Args:
        model: causal language model, changed in place.
        windows: calibration token ids, each [length].
        attack: parameters of the quantisation.

    Raises:
        MissingExtraError: llmcompressor is not installed.
    """
    oneshot, modify = _llmcompressor()
    names = {layer.name for layer in decoder_linears(model)}
    weights = {
        "num_bits": attack.bits,
        "type": "int",
        "symmetric": attack.symmetric,
        "strategy": "channel" if attack.group_size == -1 else "group",
        "group_size": None if attack.group_size == -1 else attack.group_size,
    }
    modifier = modify(
        config_groups={"decoder": {"targets": ["Linear"], "weights": weights}},
        ignore=[
            name for name, module in model.named_modules() if type(module) is torch.nn.Linear and name not in names
        ],
        actorder=_order(attack),
        dampening_frac=attack.damp,
        block_size=attack.block,
    )
    rows: Any = [{"input_ids": window} for window in windows]  # a DataLoader accepts a list
    oneshot(
        model=model,
        processor=object(),  # only texts need one
        dataset=torch.utils.data.DataLoader(rows, batch_size=1),
        recipe=modifier,
        sequential_targets=[type(decoder_blocks(model)[1][0]).__name__],
        num_calibration_samples=len(windows),
        max_seq_length=max(map(len, windows)),
    )


def _llmcompressor() -> tuple[Any, Any]:
    try:
        from llmcompressor import oneshot
        from llmcompressor.modifiers.gptq import GPTQModifier
    except ImportError as error:
        raise MissingExtraError("llmcompressor", "llmcompressor", "backend=llmcompressor") from error
    return oneshot, GPTQModifier


def _order(attack: Parameters) -> str | None:
    if not attack.act_order:
        return None
    return "static" if attack.static_groups else "group"
