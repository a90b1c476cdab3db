"""Weights of a model: iteration, fingerprint, and the check that they can be attacked."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from ..errors import ModelError

__all__ = ["fingerprint", "out_of_memory", "raw_bytes", "require_float_weights", "tensors"]


def tensors(model: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield parameters and buffers with their names, each once even if tied."""
    yield from model.named_parameters(remove_duplicate=True)
    yield from model.named_buffers(remove_duplicate=True)


def fingerprint(model: nn.Module) -> str:
    """Compute the SHA-256 of the names, shapes, dtypes and bytes of all parameters and buffers.

    Only one tensor at a time is copied to CPU memory.

    Raises:
        ModelError: a weight is NaN or infinite.
    """
    digest = hashlib.sha256()
    for name, tensor in tensors(model):
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise ModelError(f"weight {name} holds NaN or infinity, so nothing can be measured: check the checkpoint")
        digest.update(f"{name}|{tuple(tensor.shape)}|{tensor.dtype}|".encode())
        digest.update(raw_bytes(tensor))
    return digest.hexdigest()


def raw_bytes(tensor: torch.Tensor) -> Any:
    """Return a tensor's bytes in CPU memory, as a buffer."""
    return tensor.detach().to("cpu").contiguous().flatten().view(torch.uint8).numpy().data


_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "cannot allocate memory")


def out_of_memory(error: Exception) -> bool:
    """Return whether an error means that memory ran out, for which torch has no class on the CPU."""
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or (
        isinstance(error, RuntimeError) and any(mark in str(error).lower() for mark in _OUT_OF_MEMORY)
    )


def require_float_weights(model: object, what: str) -> nn.Module:
    """Return the model if its weights are in this process and in floating point.

    Raises:
        ModelError: they are not.
    """
    remedy = f"write the attacked checkpoint with `rub attack {what} --model DIR --out DIR` and evaluate that instead"
    if not isinstance(model, nn.Module):
        raise ModelError(
            f"attack {what} needs the weights in this process, but this model type does not expose them: {remedy}"
        )
    if getattr(model, "is_quantized", False) or any(not p.is_floating_point() for p in model.parameters()):
        raise ModelError(
            f"attack {what} needs float weights, and this model is quantised: {remedy} from the float checkpoint"
        )
    if any(p.is_meta for p in model.parameters()):
        raise ModelError(
            f"attack {what} needs all weights in memory, and some are offloaded: give the model more memory"
        )
    return model
