from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch

from robust_unlearn_bench.attacks import AttackContext, parse
from robust_unlearn_bench.attacks.quantise.grid import Grid
from robust_unlearn_bench.attacks.quantise.rtn import RTN
from robust_unlearn_bench.errors import ConfigError
from robust_unlearn_bench.models.decoder import decoder_linears


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_every_decoder_linear_is_the_grids_rounding(
    tiny: Callable[..., Any], context: AttackContext, architecture: str, dtype: torch.dtype
) -> None:
    model, original = tiny(architecture).to(dtype), tiny(architecture).to(dtype)
    report = RTN(bits=3, group_size=16).apply(model, context)
    attacked = {f"{layer.name}.weight" for layer in decoder_linears(model)}
    for new, old in zip(decoder_linears(model), decoder_linears(original), strict=True):
        assert torch.equal(new.weight, Grid(3, 16).round(old.weight).to(dtype))
    for (name, new), (_, old) in zip(model.named_parameters(), original.named_parameters(), strict=True):
        assert name in attacked or torch.equal(new, old)
    assert 2 < report["effective_bits"] <= 3
    assert report["layers"] == len(attacked)
    json.dumps(report, allow_nan=False)


def test_weight_error_shrinks_by_the_step_from_bit_to_bit(tiny: Callable[..., Any], context: AttackContext) -> None:
    errors = [RTN(bits).apply(tiny("llama"), context)["relative_weight_error"] for bits in (4, 5, 6)]
    for coarse, fine in pairwise(errors):  # uniform error: half the step, half the error
        assert all(fine[key] / coarse[key] == pytest.approx(0.5, abs=0.06) for key in coarse)


def test_bits_out_of_range_are_named() -> None:
    with pytest.raises(ConfigError, match="bits=32"):
        parse("rtn32")
