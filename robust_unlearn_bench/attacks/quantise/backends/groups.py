"""Limits of packed formats and other packages: no shorter last group, and few numbers of bits."""

from __future__ import annotations

import math
from typing import Any

from ....errors import ConfigError
from ....models.decoder import decoder_linears

__all__ = ["require_packable_bits", "require_whole_groups"]

PACKED_BITS = (2, 3, 4, 8)
"""Numbers of bits that every reader of the gptq format (transformers, vLLM, gptqmodel) supports."""


def require_packable_bits(bits: int) -> None:
    """Refuse a number of bits that the packed format does not support.

    Raises:
        ConfigError: naming the supported numbers.
    """
    if bits not in PACKED_BITS:
        known = ", ".join(map(str, PACKED_BITS))
        raise ConfigError(f"gptq bits={bits} cannot be packed by gptqmodel: choose one of {known}, or backend=builtin")


def require_whole_groups(model: Any, group_size: int) -> None:
    """Refuse a group size that does not divide the rows of every linear layer of the decoder blocks.

    Raises:
        ConfigError: naming the layer and the largest power of two that divides all rows.
    """
    if group_size == -1:
        return
    layers = decoder_linears(model)
    common = math.gcd(*(layer.weight.shape[1] for layer in layers))
    for layer in layers:
        if (columns := layer.weight.shape[1]) % group_size:
            raise ConfigError(
                f"group_size={group_size} does not divide the {columns} columns of {layer.name}, which only the built-in "
                f"GPTQ can do: choose group_size={common & -common} or -1 (whole rows)"
            )
