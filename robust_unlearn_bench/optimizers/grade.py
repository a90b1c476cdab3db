"""Grades of optimizers: how much a step knows about the loss, and at what cost. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

__all__ = ["BACKPROPAGATION", "GRADES", "TWO_LOSSES", "Cost", "Facts", "Grade"]

Grade = Literal["second", "first", "compressed", "smoothed", "zeroth", "hybrid", "other"]

GRADES: Mapping[str, str] = {
    "second": "second order",
    "first": "first order",
    "compressed": "compressed first order",
    "smoothed": "smoothed first order",
    "zeroth": "zeroth order",
    "hybrid": "first and zeroth order in turn",
    "other": "other or unknown",
}
"""Grade → description, ordered from the most to the least information about the loss."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Number of passes of one step over its two batches; a backward pass costs about as much as two forward passes.

    Attributes:
        forget_forwards: forward passes over the forget batch.
        forget_backwards: backward passes over the forget batch.
        retain_forwards: forward passes over the retain batch.
        retain_backwards: backward passes over the retain batch.
    """

    forget_forwards: float
    forget_backwards: float
    retain_forwards: float
    retain_backwards: float

    @property
    def forwards(self) -> float:
        """Forward passes over both batches."""
        return self.forget_forwards + self.retain_forwards

    @property
    def backwards(self) -> float:
        """Backward passes over both batches."""
        return self.forget_backwards + self.retain_backwards


BACKPROPAGATION = Cost(1, 1, 1, 1)
TWO_LOSSES = Cost(2, 0, 2, 0)


@dataclass(frozen=True, slots=True)
class Facts:
    """Update rule, memory and cost of an optimizer.

    Attributes:
        rule: the update in one line (g gradient, m and v moving averages, η learning rate).
        state_bytes: bytes per parameter kept between steps, with fp32 states; None where they depend on the shapes.
        extra_bytes: further bytes per fp32 parameter within a step, besides weight, gradient and states.
        gradient: whether the step backpropagates, so that activations are stored.
        cost: passes of one step with default hyper-parameters.
        extra: pip extra that installs the optimizer, or "".
    """

    rule: str
    state_bytes: float | None
    extra_bytes: float = 0
    gradient: bool = True
    cost: Cost = BACKPROPAGATION
    extra: str = ""
