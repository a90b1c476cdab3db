"""Decoder blocks and their linear layers, found in any Hugging Face causal model."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from ..errors import ModelError

__all__ = ["Linear", "decoder_blocks", "decoder_linears", "linears", "other_matrices", "sparsity", "tensor_class"]


@dataclass(frozen=True, eq=False, slots=True)
class Linear:
    """A linear layer viewed as y = W x, regardless of its storage layout.

    Attributes:
        name: dotted path in the model.
        module: `nn.Linear`, or GPT-2's `Conv1D`, which stores W transposed.
        transposed: whether the stored weight is [in, out].
    """

    name: str
    module: nn.Module
    transposed: bool

    @property
    def weight(self) -> Tensor:
        """W, [out, in], a view of the stored tensor."""
        stored = cast(Tensor, self.module.weight).detach()
        return stored.T if self.transposed else stored

    def write(self, weight: Tensor) -> None:
        """Copy [out, in] values into the stored tensor, rounding to its dtype."""
        self.weight.copy_(weight)


def decoder_blocks(model: Any) -> tuple[str, nn.ModuleList]:
    """Find the decoder blocks: of all module lists in the model, the one with the most parameters.

    Embeddings, final norm and output head are not part of it; a vision tower or a list of experts is smaller.

    Returns:
        Dotted path of the list, and the list.

    Raises:
        ModelError: the model is not a torch module in this process, or it has no such list.
    """
    if not isinstance(model, nn.Module):
        raise ModelError(
            f"weights of {type(model).__name__} cannot be reached: an attack needs a torch model in this process; "
            "write an attacked checkpoint with `rub attack … --out DIR` and load that instead"
        )
    best, blocks, size = "", None, 0
    for name, module in model.named_modules():
        if isinstance(module, nn.ModuleList):
            numel = sum(p.numel() for p in module.parameters())
            if numel > size:
                best, blocks, size = name, module, numel
    if blocks is None:
        raise ModelError(f"{type(model).__name__} has no list of decoder blocks: weight attacks need a transformer")
    return best, blocks


def linears(block: nn.Module, prefix: str) -> list[Linear]:
    """Return the linear layers of one block, in definition order."""
    found = []
    for name, module in block.named_modules():
        if isinstance(module, nn.Linear):
            found.append(Linear(f"{prefix}.{name}", module, transposed=False))
        elif type(module).__name__ == "Conv1D" and getattr(module, "nf", None) is not None:
            found.append(Linear(f"{prefix}.{name}", module, transposed=True))
    return found


def decoder_linears(model: Any) -> list[Linear]:
    """Return every linear layer of the decoder blocks, after checking that a weight attack can work on it.

    Raises:
        ModelError: there is no linear layer, or a weight is quantised, offloaded, NaN or infinite.
    """
    found = list(_all(model))
    if not found:
        raise ModelError(
            f"the decoder blocks of {type(model).__name__} hold no Linear layer: there is nothing to attack"
        )
    for linear in found:
        _check(linear.name, linear.weight)
    return found


def _all(model: Any) -> Iterator[Linear]:
    path, blocks = decoder_blocks(model)
    for i, block in enumerate(blocks):
        yield from linears(block, f"{path}.{i}")


def _check(name: str, weight: Tensor) -> None:
    if weight.is_meta:
        raise ModelError(f"{name} is offloaded: load the model without disk or CPU offload to attack its weights")
    if not weight.is_floating_point() or weight.dtype.itemsize < 2:
        raise ModelError(f"{name} is quantised ({weight.dtype}): load the model in bf16 or fp32 to attack its weights")
    if not bool(torch.isfinite(weight).all()):
        raise ModelError(f"{name} holds NaN or infinite weights: the checkpoint is broken, no attack can be measured")


def other_matrices(model: Any) -> list[str]:
    """Return the names of block weights with two or more dimensions outside linear layers (experts, convolutions)."""
    path, blocks = decoder_blocks(model)
    owned = {id(linear.module.weight) for linear in _all(model)}
    return [f"{path}.{name}" for name, p in blocks.named_parameters() if p.dim() > 1 and id(p) not in owned]


def sparsity(model: Any) -> float:
    """Compute the fraction of zeros in the linear layers of the decoder blocks."""
    weights = [linear.weight for linear in _all(model)]
    return sum(int((weight == 0).sum()) for weight in weights) / sum(weight.numel() for weight in weights)


def tensor_class(name: str) -> str:
    """Return the role of a layer, without its path and index: "model.layers.3.mlp.down_proj" → "mlp.down_proj"."""
    return re.sub(r"^.*?\.\d+\.", "", name)
