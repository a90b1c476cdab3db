"""Quantise-dequantise with bitsandbytes: the 4-bit data types FP4 and NF4, and the weights of LLM.int8."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from ...errors import ConfigError, MissingExtraError
from ..attack import ATTACKS, AttackContext, AttackDefaults
from ..data_free_rewrite import rewrite_linears
from .grid import distinct_values

__all__ = ["BnbFP4", "BnbInt8", "BnbNF4"]

BLOCK_SIZES = (32, 64, 128, 256, 512, 1024, 2048, 4096)


@dataclass(frozen=True, slots=True)
class _FourBit(AttackDefaults):
    """Parameters of the 4-bit data types."""

    name: ClassVar[str]

    block_size: int = 64
    double_quant: bool = False

    def __post_init__(self) -> None:
        """Refuse a block size that bitsandbytes does not support.

        Raises:
            ConfigError: naming the supported sizes.
        """
        if self.block_size not in BLOCK_SIZES:
            known = ", ".join(map(str, BLOCK_SIZES))
            raise ConfigError(f"{self.name} block_size={self.block_size} is not possible: choose one of {known}")

    def apply(self, model: Any, context: AttackContext) -> dict[str, Any]:
        """Quantise the model in place.

        Returns:
            As `RTN.apply`, and the version of bitsandbytes.

        Raises:
            MissingExtraError: bitsandbytes is not installed.
            ModelError: the weights cannot be quantised.
        """
        functional, size = _functional(self.name), self.block_size
        distinct = [1]

        def rounded(weight: Tensor) -> Tensor:
            # Flat, because bitsandbytes 0.50 on CPU dequantises rows that are no multiple of the block size wrongly.
            codes, state = functional.quantize_4bit(
                weight.flatten(),
                blocksize=size,
                quant_type=self.name.removeprefix("bnb_"),
                compress_statistics=self.double_quant,
            )
            new: Tensor = functional.dequantize_4bit(codes, state)
            distinct.extend(distinct_values(blocks, size) for blocks in _blocks(new, size))
            return new.view_as(weight)

        report = rewrite_linears(model, context, rounded, f"{self.name} layers", quantises=True)
        return {"effective_bits": math.log2(max(distinct)), "bitsandbytes": _version(), **report}


@ATTACKS.register("bnb_fp4")
@dataclass(frozen=True, slots=True)
class BnbFP4(_FourBit):
    """4-bit floats: each weight becomes the nearest of 15 values times the absolute maximum of its block.

    The dequantised weights equal those of a bitsandbytes `Linear4bit` layer. FP4 is what `load_in_4bit=True` gives by
    default, and the 4-bit rows of Zhang et al. 2025 equal it digit for digit; hence both it and GPTQ are standard
    attacks. bitsandbytes 0.50.2 dequantises wrongly on CPU where rows are no multiple of the block size (relative error
    .25 in place of .09 on rows of 672); the attack hands weights over flat, as CUDA does, and is not affected.

    Attributes:
        block_size: number of consecutive weights (row-major) that share a scale.
        double_quant: whether the scales are themselves quantised to 8 bits.

    Source: Dettmers et al. 2023 (arXiv 2305.14314); bitsandbytes `quantize_4bit`, as `BitsAndBytesConfig(load_in_4bit=True)` loads a model.
    Departs: none; embeddings, norms and head are not quantised there either.
    Cost: no passes; one layer in fp32 beyond the model.
    """

    name: ClassVar[str] = "bnb_fp4"


@ATTACKS.register("bnb_nf4")
@dataclass(frozen=True, slots=True)
class BnbNF4(_FourBit):
    """QLoRA's NF4: as `bnb_fp4`, with 16 values at the quantiles of a normal distribution.

    Attributes:
        block_size: number of consecutive weights (row-major) that share a scale.
        double_quant: whether the scales are themselves quantised to 8 bits.

    Source: Dettmers et al. 2023 (arXiv 2305.14314); bitsandbytes `quantize_4bit`.
    Departs: none.
    Cost: no passes; one layer in fp32 beyond the model.
    """

    name: ClassVar[str] = "bnb_nf4"


@ATTACKS.register("bnb_int8")
@dataclass(frozen=True, slots=True)
class BnbInt8(AttackDefaults):
    """The weights of LLM.int8: 8-bit integers with one absolute maximum for each row.

    Source: Dettmers et al. 2022 (arXiv 2208.07339); bitsandbytes `int8_vectorwise_quant` on fp16 weights, as in
        `Linear8bitLt`.
    Departs: weights only. LLM.int8 also rounds activations to 8 bits at run time, except outlier features (|x| ≥ 6),
        which it multiplies in fp16 with the same dequantised weights; activations here keep the model's dtype.
    Cost: no passes; one layer in fp32 beyond the model.
    """

    name: ClassVar[str] = "bnb_int8"

    def apply(self, model: Any, context: AttackContext) -> dict[str, Any]:
        """Quantise the model in place.

        Returns:
            As `RTN.apply`, and the version of bitsandbytes.

        Raises:
            MissingExtraError: bitsandbytes is not installed.
            ModelError: the weights cannot be quantised.
        """
        functional = _functional(self.name)
        distinct = [1]

        def rounded(weight: Tensor) -> Tensor:
            codes, scales, _ = functional.int8_vectorwise_quant(weight.contiguous().to(torch.float16))
            new: Tensor = functional.int8_vectorwise_dequant(codes, scales).to(weight.dtype)
            distinct.append(distinct_values(new, new.shape[1]))
            return new

        report = rewrite_linears(model, context, rounded, "bnb_int8 layers", quantises=True)
        return {"effective_bits": math.log2(max(distinct)), "bitsandbytes": _version(), **report}


def _blocks(weight: Tensor, size: int) -> list[Tensor]:
    """The weight's blocks as rows of a matrix, and the shorter last block, if there is one, as another."""
    flat = weight.flatten()
    whole = len(flat) // size * size
    return [part for part in (flat[:whole].view(-1, size), flat[None, whole:]) if part.numel()]


def _functional(attack: str) -> Any:
    """The functional module of bitsandbytes, imported only when an attack needs it."""
    try:
        import bitsandbytes.functional as functional
    except ImportError as error:
        raise MissingExtraError("bitsandbytes", None, f"attack {attack}") from error
    return functional


def _version() -> str:
    import bitsandbytes

    return str(bitsandbytes.__version__)
