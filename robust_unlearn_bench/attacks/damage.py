"""Diagnostics of an attack that rewrites weights: errors per tensor class, perplexity before and after, flags."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from ..models.decoder import tensor_class
from .perplexity import exploded, perplexity

__all__ = ["Damage"]


class Damage:
    """Collects the diagnostics of one attack; created before the attack, because it measures perplexity at once.

    Args:
        model: model before the attack.
        windows: token ids on which perplexity is measured, each [length].
        quantises: whether the attack is a quantiser, whose report flags an explosion of perplexity.

    Attributes:
        fallbacks: deviations from the attack as specified: reason → names of layers, or reason → layer → number.
    """

    def __init__(self, model: nn.Module, windows: Sequence[Tensor], *, quantises: bool = True) -> None:
        self._model = model
        self._windows = windows
        self._quantises = quantises
        self._before = perplexity(model, windows)
        self._values: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        self.fallbacks: dict[str, Any] = {}

    def note(self, layer: str, **values: float) -> None:
        """Record numbers of one layer, such as its relative error, each under its name."""
        for key, value in values.items():
            self._values[key][tensor_class(layer)].append(value)

    def fall_back(self, reason: str, layer: str, value: float | None = None) -> None:
        """Record a deviation from the attack as specified.

        Args:
            reason: kind of the deviation; `reasons.FALLBACKS` explains each.
            layer: name of the layer concerned.
            value: number that describes the deviation, if any.
        """
        if value is None:
            self.fallbacks.setdefault(reason, []).append(layer)
        else:
            self.fallbacks.setdefault(reason, {})[layer] = value

    def report(self) -> dict[str, Any]:
        """Means of the recorded numbers over the layers of each tensor class, perplexities, fallbacks and flags."""
        after = perplexity(self._model, self._windows)
        means = {
            key: {name: finite(sum(values) / len(values)) for name, values in classes.items()}
            for key, classes in self._values.items()
        }
        flags = ["quantised_perplexity_exploded"] if self._quantises and exploded(self._before, after) else []
        if not math.isfinite(after):
            flags.append("non_finite")
        return {
            **means,
            "perplexity": {
                "before": finite(self._before),
                "after": finite(after),
                "tokens": sum(len(window) - 1 for window in self._windows),
            },
            "fallbacks": self.fallbacks,
            "flags": flags,
        }


def finite(value: float) -> float | None:
    """The value, or None where it is infinite or NaN, which JSON cannot represent."""
    return value if math.isfinite(value) else None
