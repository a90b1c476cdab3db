"""Update rules by grade of information: how much a step knows about the loss. Importing this does not import torch."""

from __future__ import annotations

from .optimizer import OPTIMIZERS, OptimizerConfig, configure
from .table import GRADES, Graded

__all__ = ["GRADES", "OPTIMIZERS", "Graded", "OptimizerConfig", "configure"]
