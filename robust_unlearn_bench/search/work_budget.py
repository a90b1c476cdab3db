"""What a search may spend, beside its number of trials: optimizer steps or time."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from ..errors import ConfigError

__all__ = ["WorkBudget"]

_SECONDS = {"s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True, slots=True)
class WorkBudget:
    """A limit on the work of all trials together, over all processes; no trial starts once it is reached.

    Attributes:
        amount: the limit.
        unit: "steps" (optimizer steps on the model) or "seconds" (of trials, on all models).
    """

    amount: float
    unit: Literal["steps", "seconds"]

    @classmethod
    def read(cls, text: str, least_steps: int) -> WorkBudget:
        """Read `5000steps`, `90s`, `30m` or `2h`.

        Args:
            text: the budget as a user writes it.
            least_steps: steps of the shortest training attack.

        Raises:
            ConfigError: the text is none of these, or pays for no trial.
        """
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(steps|s|m|h)\s*", text)
        if match is None:
            raise ConfigError(f"budget {text!r} cannot be read: write 5000steps, 90s, 30m or 2h")
        number, unit = float(match[1]), match[2]
        if unit == "steps":
            if number < least_steps:
                raise ConfigError(
                    f"budget {text!r} does not pay for one trial: the shortest training attack takes {least_steps} steps"
                )
            return cls(number, "steps")
        if number <= 0:
            raise ConfigError(f"budget {text!r} does not pay for one trial: give more than no time")
        return cls(number * _SECONDS[unit], "seconds")

    def spent_by(self, steps: float, seconds: float) -> bool:
        """Whether trials that took so many steps and seconds have used it up."""
        return (steps if self.unit == "steps" else seconds) >= self.amount
