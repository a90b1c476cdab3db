"""What the precisions of training are called; `precision` implements them, and this much is known without torch."""

from __future__ import annotations

from typing import Literal, get_args

from ..errors import ConfigError

__all__ = ["Precision", "refuse_unknown_precision"]

Precision = Literal["fp32", "bf16_autocast", "bf16_pure", "bf16_kahan"]


def refuse_unknown_precision(precision: str, whose: str) -> None:
    """Raise unless a precision has one of the names.

    Args:
        precision: what was asked for.
        whose: what it was asked for, as the subject of the message.

    Raises:
        ConfigError: with the names.
    """
    names = get_args(Precision)
    if precision not in names:
        raise ConfigError(f"{whose} has precision={precision!r}: choose {', '.join(names[:-1])} or {names[-1]}")
