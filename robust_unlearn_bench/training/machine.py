"""How fast this machine is, measured in a moment, and how durations are written."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from .footprint import Rates

__all__ = ["duration", "measured_rates"]

REACHED = 0.4
"""Fraction of the rate of a large matrix product that a whole model reaches, attention and norms included."""


def measured_rates(device: str, operations: float | None = None) -> Rates:
    """Measure a matrix product in bf16 and a copy on a device.

    Args:
        device: "cpu", "cuda", ….
        operations: rate of matrix products in operations per second, if it is another machine's.
    """
    there = torch.device(device)
    size = 8192 if there.type == "cuda" else 768
    a = torch.ones(size, size, dtype=torch.bfloat16, device=there)
    block = torch.ones(32 << 20 if there.type == "cuda" else 4 << 20, device=there)
    rate = operations or 2 * size**3 / _seconds(lambda: a @ a, there)
    return Rates(REACHED * rate, 2 * block.nbytes / _seconds(block.clone, there))


def _seconds(what: Callable[[], object], device: torch.device) -> float:
    """Return the shorter of two runs after a first."""
    taken = []
    for _ in range(3):
        begun = time.perf_counter()
        what()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        taken.append(time.perf_counter() - begun)
    return max(min(taken[1:]), 1e-9)


def duration(seconds: float) -> str:
    """Render a duration: "40 s", "35 min", "5.2 h"."""
    if seconds < 100:
        return f"{seconds:.2g} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
