"""Range checks of hyper-parameters, with messages of one sentence."""

from __future__ import annotations

from ..errors import ConfigError

__all__ = ["fraction", "positive"]


def positive(optimizer: str, **values: float) -> None:
    """Refuse values that are not above zero.

    Raises:
        ConfigError: a value is not above zero; the message names optimizer, field and value.
    """
    for field, value in values.items():
        if not value > 0:
            raise ConfigError(f"optimizer {optimizer} has {field}={value!r}: give a number above 0")


def fraction(optimizer: str, **values: float) -> None:
    """Refuse moving-average factors outside [0, 1).

    Raises:
        ConfigError: a factor is outside [0, 1); the message names optimizer, field and value.
    """
    for field, value in values.items():
        if not 0 <= value < 1:
            raise ConfigError(f"optimizer {optimizer} has {field}={value!r}: give a number of at least 0 and below 1")
