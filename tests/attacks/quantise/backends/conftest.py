"""A model with room for groups, a real tokenizer, and the yardstick for comparing quantisers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from robust_unlearn_bench.attacks import AttackContext
from robust_unlearn_bench.attacks.blockwise import walk
from robust_unlearn_bench.attacks.calibration import calibrate
from robust_unlearn_bench.attacks.quantise.hessian import Hessian


@pytest.fixture(scope="session")
def backend_context(context: AttackContext) -> AttackContext:
    """Text of words that are their own ids."""
    words = Tokenizer(models.WordLevel({str(i): i for i in range(97)}, unk_token="0"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, bos_token="1", eos_token="2", pad_token="0", unk_token="0"
    )
    return dataclasses.replace(context, tokenizer=tokenizer)


@pytest.fixture
def backend_model(tiny: Callable[..., Any]) -> Any:
    return tiny("llama", hidden_size=64, intermediate_size=128)


@pytest.fixture
def output_error(backend_model: Any, backend_context: AttackContext) -> Callable[[Mapping[str, torch.Tensor]], float]:
    """Weights by layer → mean of ‖(W − Ŵ)X‖ / ‖W X‖, X the calibration inputs of the original model."""
    original: dict[str, torch.Tensor] = {}
    hessians: dict[str, Hessian] = {}

    def note(layer: Any, hessian: Hessian) -> None:
        original[layer.name], hessians[layer.name] = layer.weight.clone(), hessian

    walk(backend_model, calibrate(backend_context, "retain", 128, 2048, 0).windows, Hessian, note)

    def measure(weights: Mapping[str, torch.Tensor]) -> float:
        errors = [
            (hessians[name].energy(weights[name].float() - original[name]) / hessians[name].energy(original[name]))
            ** 0.5
            for name in original
        ]
        return sum(errors) / len(errors)

    return measure
