"""What a rewrite of weights did: errors per tensor class, perplexity before and after, flags."""

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
    """Collects numbers per layer, and the perplexity around an attack.

    Args:
        model: the model, not yet attacked.
        windows: probe text.
        quantises: whether a perplexity explosion is flagged as a quantiser's.

    Attributes:
        fallbacks: what was not done as asked: reason → layer names, or layer → number.
    """

    def __init__(self, model: nn.Module, windows: Sequence[Tensor], *, quantises: bool = True) -> None:
        self._model = model
        self._windows = windows
        self._quantises = quantises
        self._before = perplexity(model, windows)
        self._values: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        self.fallbacks: dict[str, Any] = {}

    def note(self, layer: str, **values: float) -> None:
        """Enter numbers of one layer, by name of the number."""
        for key, value in values.items():
            self._values[key][tensor_class(layer)].append(value)

    def fall_back(self, reason: str, layer: str, value: float | None = None) -> None:
        """Enter something that was not done as asked.

        Args:
            reason: what happened instead; `reasons.FALLBACKS` explains each.
            layer: name of the layer, weight matrix or parameter.
            value: a number about it, or None.
        """
        if value is None:
            self.fallbacks.setdefault(reason, []).append(layer)
        else:
            self.fallbacks.setdefault(reason, {})[layer] = value

    def report(self) -> dict[str, Any]:
        """Diagnostics: the mean of every number over the layers of a tensor class, perplexities, fallbacks, flags."""
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
    """The value, or None where it is infinite or NaN (JSON knows neither)."""
    return value if math.isfinite(value) else None
