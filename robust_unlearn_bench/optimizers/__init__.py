"""Update rules, graded by how much a step knows about the loss. Importing this package does not import torch."""

from __future__ import annotations

from .grade import GRADES, Facts, Grade
from .optimizer import OPTIMIZERS, OptimizerConfig, by_grade, configure, grade_of

__all__ = ["GRADES", "OPTIMIZERS", "Facts", "Grade", "OptimizerConfig", "by_grade", "configure", "grade_of"]
