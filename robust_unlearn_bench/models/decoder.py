"""The decoder blocks of a Hugging Face language model, their linear layers, and the role that each weight plays."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from ..errors import ModelError

__all__ = [
    "Linear",
    "decoder_block",
    "decoder_blocks",
    "decoder_linears",
    "linears",
    "other_matrices",
    "sparsity",
    "tensor_class",
    "tensor_kind",
]


@dataclass(frozen=True, eq=False, slots=True)
class Linear:
    """A linear layer viewed as y = W x, regardless of its storage layout.

    Attributes:
        name: dotted path in the model.
        module: `nn.Linear`, or GPT-2's `Conv1D`, which stores W transposed.
        transposed: whether the stored weight is [in, out] rather than [out, in].
    """

    name: str
    module: nn.Module
    transposed: bool

    @property
    def weight(self) -> Tensor:
        """W [out, in], a view of the stored tensor."""
        stored = cast(Tensor, self.module.weight).detach()
        return stored.T if self.transposed else stored

    def write(self, weight: Tensor) -> None:
        """Copy values [out, in] into the stored tensor, rounding them to its dtype."""
        self.weight.copy_(weight)


def decoder_blocks(model: Any) -> tuple[str, nn.ModuleList]:
    """Dotted path and list of the decoder blocks: the module list with the most parameters beside the text embedding.

    "Beside" is the smallest module that holds both the embedding of text tokens and a module list with parameters. A
    vision tower of a multimodal model is therefore not taken for the decoder, however large it is, and neither is a list
    of experts inside a block. Embeddings, final norm and output head are outside the blocks.

    Raises:
        ModelError: the model is no torch model in this process, or has no such list.
    """
    if not isinstance(model, nn.Module):
        raise ModelError(
            f"weights of {type(model).__name__} cannot be reached: an attack needs a torch model in this process; "
            "write an attacked checkpoint with `rub attack … --out DIR` and load that instead"
        )
    for path, module in _around_the_embedding(model):
        lists = {name: _size(found) for name, found in module.named_modules() if isinstance(found, nn.ModuleList)}
        if any(lists.values()):
            name = max(lists, key=lambda name: lists[name])
            return f"{path}.{name}".strip("."), cast(nn.ModuleList, module.get_submodule(name))
    raise ModelError(f"{type(model).__name__} has no list of decoder blocks: give a transformer language model")


def _around_the_embedding(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The modules that hold the embedding of text tokens, with their paths, from the smallest to the whole model."""
    embedding = cast(Any, model).get_input_embeddings() if hasattr(model, "get_input_embeddings") else None
    path = next((name for name, module in model.named_modules() if module is embedding), "")
    while path:
        path = path.rpartition(".")[0]
        yield path, model.get_submodule(path)


def _size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def decoder_block(model: nn.Module, number: int) -> nn.Module:
    """Decoder block number `number`, from 0.

    Raises:
        ModelError: the model has no such block.
    """
    blocks = decoder_blocks(model)[1]
    if not 0 <= number < len(blocks):
        raise ModelError(f"this model has no decoder layer {number}: choose one from 0 to {len(blocks) - 1}")
    return blocks[number]


def linears(block: nn.Module, prefix: str) -> list[Linear]:
    """Linear layers of one block, in the order of their definition.

    Args:
        block: a decoder block.
        prefix: dotted path of the block in the model.
    """
    found = []
    for name, module in block.named_modules():
        if isinstance(module, nn.Linear):
            found.append(Linear(f"{prefix}.{name}", module, transposed=False))
        elif type(module).__name__ == "Conv1D" and getattr(module, "nf", None) is not None:
            found.append(Linear(f"{prefix}.{name}", module, transposed=True))
    return found


def decoder_linears(model: Any) -> list[Linear]:
    """Every linear layer of the decoder blocks, after a check that an attack can change its weights.

    Raises:
        ModelError: the blocks hold no linear layer, or one whose weights are quantised, offloaded, NaN or infinite.
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
    """Names of weights with two or more dimensions that belong to no linear layer (fused experts, convolutions)."""
    path, blocks = decoder_blocks(model)
    owned = {id(linear.module.weight) for linear in _all(model)}
    return [f"{path}.{name}" for name, p in blocks.named_parameters() if p.dim() > 1 and id(p) not in owned]


def sparsity(model: Any) -> float:
    """Compute the fraction of zeros in the linear layers of the decoder blocks."""
    weights = [linear.weight for linear in _all(model)]
    return sum(int((weight == 0).sum()) for weight in weights) / sum(weight.numel() for weight in weights)


def tensor_class(name: str) -> str:
    """Place of a layer in its block, the same in all blocks: "model.layers.3.mlp.down_proj" → "mlp.down_proj"."""
    return re.sub(r"^.*?\.\d+\.", "", name)


_KINDS = {
    "norm": ("norm", "ln_", "layernorm"),
    "head": ("lm_head", "embed_out"),
    "embedding": ("embed", "wte", "wpe"),
    "attention": ("attn", "attention"),
    "mlp": ("mlp", "fc1", "fc2", "feed_forward"),
}
"""Kind of tensor → parts of its name; the first kind that fits counts."""


def tensor_kind(name: str) -> str:
    """Kind of a weight by its name: "norm", "head", "embedding", "attention", "mlp", or "other"."""
    lowered = name.lower()
    return next((kind for kind, marks in _KINDS.items() if any(mark in lowered for mark in marks)), "other")
