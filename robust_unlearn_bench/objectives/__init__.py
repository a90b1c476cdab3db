"""Forget and retain losses: pure functions of tensors, and the small classes that feed them."""

from __future__ import annotations

from .objective import OBJECTIVES, RETAIN_LOSSES, Objective, ObjectiveDefaults, View

__all__ = ["OBJECTIVES", "RETAIN_LOSSES", "Objective", "ObjectiveDefaults", "View"]
