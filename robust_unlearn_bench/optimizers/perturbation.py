"""Temporary perturbations of weights, which are then restored bit for bit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from ..models.shards import local
from .rule import Parameters

__all__ = ["mirrored_", "moved_", "restored"]


@contextmanager
def restored(parameters: Parameters) -> Iterator[Mapping[str, Tensor]]:
    """Copy the weights on entry and copy them back on exit, even after an exception.

    Subtracting the perturbation again would not restore them: in bf16, adding +ε, −2ε, +ε moves the weights by several
    percent within 200 steps, without any update.

    Yields:
        Copies of the weights by name.
    """
    saved = {name: p.detach().clone() for name, p in parameters.items()}
    try:
        yield saved
    finally:
        with torch.no_grad():
            for name, p in parameters.items():
                p.copy_(saved[name])


@torch.no_grad()
def moved_(p: Tensor, start: Tensor, direction: Tensor, distance: float) -> None:
    """p ← start + distance·direction, summed in fp32 and rounded once to p's dtype.

    Args:
        p: the weights, changed in place.
        start: unperturbed weights, same shape and dtype.
        direction: fp32, same shape.
        distance: factor of the direction.
    """
    w, start, direction = local(p), local(start), local(direction)
    if w.dtype == torch.float32:
        torch.add(start, direction, alpha=distance, out=w)  # not w.data, whose changes do not count as w's
    else:
        w.copy_(torch.add(start.float(), direction, alpha=distance))


@torch.no_grad()
def mirrored_(p: Tensor, start: Tensor) -> None:
    """p ← 2·start − p: mirror a perturbation without drawing its direction again.

    The rounding error of the perturbation is mirrored too, so a two-sided difference stays centred.

    Args:
        p: the weights, changed in place.
        start: unperturbed weights, same shape and dtype.
    """
    local(p).neg_().add_(local(start), alpha=2)
