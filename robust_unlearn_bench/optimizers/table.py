"""The grade table: what each optimizer knows about the loss, and what that costs. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

__all__ = ["GRADES", "GRADE_WORDS", "Cost", "Grade", "Graded"]

Grade = Literal["second", "first", "compressed", "smoothed", "zeroth", "hybrid"]

GRADE_WORDS: Mapping[str, str] = {
    "second": "second order",
    "first": "first order",
    "compressed": "compressed first order",
    "smoothed": "smoothed first order",
    "zeroth": "zeroth order",
    "hybrid": "first and zeroth order in turn",
}
"""Grade → words, from high to low information."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Passes of one step over the two batches; a backward costs about two forwards.

    Attributes:
        forget_forwards: forward passes of the forget batch.
        forget_backwards: backward passes of the forget batch.
        retain_forwards: forward passes of the retain batch.
        retain_backwards: backward passes of the retain batch.
    """

    forget_forwards: float
    forget_backwards: float
    retain_forwards: float
    retain_backwards: float


@dataclass(frozen=True, slots=True)
class Graded:
    """One row of the table.

    Attributes:
        grade: how much information about the loss a step uses.
        rule: the update in one line (g gradient, m and v moving averages).
        state_bytes: per parameter between steps, with fp32 states; None where it depends on the shapes.
        extra_bytes: per fp32 parameter within a step, beside weight, gradient and states (a copy of the weights).
        gradient: whether a gradient tensor is needed by backpropagation (activations are stored).
        cost: passes of one step with default hyper-parameters.
        extra: the pip extra that it needs, or "".
    """

    grade: Grade
    rule: str
    state_bytes: float | None
    extra_bytes: float
    gradient: bool
    cost: Cost
    extra: str = ""


_BACKPROPAGATION = Cost(1, 1, 1, 1)
_TWO_LOSSES = Cost(2, 0, 2, 0)

GRADES: Mapping[str, Graded] = {
    "sophia": Graded("second", "w −= η·clip(m / max(ρ·h, ε), 1)", 8, 0, True, Cost(1.1, 1.1, 1.1, 1.1)),
    "soap": Graded("second", "Adam in Shampoo's eigenbasis", None, 0, True, _BACKPROPAGATION, "pytorch-optimizer"),
    "shampoo": Graded("second", "w −= η·L^-¼·g·R^-¼", None, 0, True, _BACKPROPAGATION, "pytorch-optimizer"),
    "muon": Graded("first", "w −= η·orthogonalised m", 4, 0, True, _BACKPROPAGATION),
    "sgd": Graded("first", "w −= η·g", 0, 0, True, _BACKPROPAGATION),
    "adam": Graded("first", "w −= η·m̂ / (√v̂ + ε)", 8, 0, True, _BACKPROPAGATION),
    "adam8bit": Graded("compressed", "Adam, m and v in 8 bits", 2.06, 0, True, _BACKPROPAGATION),
    "adam_q8update": Graded("compressed", "w −= η·Q8(m̂ / (√v̂ + ε))", 8, 0, True, _BACKPROPAGATION),
    "signadam": Graded("compressed", "w −= η·sign(m)", 4, 0, True, _BACKPROPAGATION),
    "signsgd": Graded("compressed", "w −= η·sign(g)", 0, 0, True, _BACKPROPAGATION),
    "lion": Graded("compressed", "w −= η·sign(β1·m + (1 − β1)·g)", 4, 0, True, _BACKPROPAGATION),
    "sam": Graded("smoothed", "Adam, forget gradient at w + ρ·g_f/‖g_f‖", 8, 4, True, Cost(2, 2, 1, 1)),
    "rs": Graded("smoothed", "Adam, forget gradient averaged over w + δ", 8, 4, True, Cost(3, 3, 1, 1)),
    "tar": Graded("smoothed", "Adam, forget gradient after K steps of relearning", 8, 4, True, Cost(5, 5, 1, 1)),
    "zo_sgd": Graded("zeroth", "w −= η·c·z", 0, 4, False, _TWO_LOSSES),
    "ada_zo": Graded("zeroth", "w −= η·m / √(v + ζ), v of m²", 8, 4, False, _TWO_LOSSES),
    "hizoo": Graded("zeroth", "w −= η·c·h^-½·z", 4, 4, False, Cost(3, 0, 3, 0)),
    "hybrid": Graded("hybrid", "N steps adam, N steps ada_zo, in turn", 16, 0, True, Cost(1.5, 0.5, 1.5, 0.5)),
}
"""Optimizer name → its row, from high to low information."""
