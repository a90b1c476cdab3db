"""Learning-rate schedules as a factor of the peak."""

from __future__ import annotations

import math
from typing import Literal

from ..errors import ConfigError

__all__ = ["Schedule", "factor"]

Schedule = Literal["constant", "cosine", "linear"]


def factor(step: int, steps: int, schedule: Schedule, warmup: float = 0.0) -> float:
    """Return the fraction of the peak learning rate that step `step` (from 0) uses.

    With w = ceil(warmup · steps): step / w while step < w, then with u = (step − w) / (steps − w)
    constant 1, cosine (1 + cos πu) / 2, linear 1 − u. The last two would reach 0 at step `steps`.

    Raises:
        ConfigError: the schedule is unknown or the warm-up fraction is outside [0, 1).

    Source: the values are those of the transformers schedulers, where the first step of a warm-up has rate 0.
    """
    if not 0 <= warmup < 1:
        raise ConfigError(f"warmup is {warmup}: give a fraction of the steps, from 0 to below 1")
    warm = math.ceil(warmup * steps)
    if step < warm:
        return step / warm
    progress = (step - warm) / max(1, steps - warm)
    if schedule == "constant":
        return 1.0
    if schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * progress))
    if schedule == "linear":
        return max(0.0, 1 - progress)
    raise ConfigError(f"schedule is {schedule!r}: choose constant, cosine or linear")
