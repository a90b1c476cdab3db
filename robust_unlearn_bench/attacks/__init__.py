"""What is done to the weights between two measurements. `parse` reads a spec, `ATTACKS` lists the families."""

from __future__ import annotations

from .attack import ATTACKS, Attack, AttackContext, AttackDefaults, Diagnostics
from .spec import AttackSpec, parse

__all__ = ["ATTACKS", "Attack", "AttackContext", "AttackDefaults", "AttackSpec", "Diagnostics", "parse"]
