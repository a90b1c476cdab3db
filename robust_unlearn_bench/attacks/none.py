"""The control: the weights are left unchanged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from .attack import ATTACKS, AttackContext, AttackDefaults

__all__ = ["NoAttack"]


@ATTACKS.register("none")
@dataclass(frozen=True, slots=True)
class NoAttack(AttackDefaults):
    """No attack: the model is measured unchanged.

    Cost: none.
    """

    name: ClassVar[str] = "none"

    def apply(self, model: Any, context: AttackContext) -> dict[str, Any]:
        """Do nothing."""
        return {}
