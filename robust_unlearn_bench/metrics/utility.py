"""Model utility: one number for what a model can still do."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

__all__ = ["harmonic_mean"]


def harmonic_mean(values: Iterable[float]) -> float:
    """Compute the harmonic mean, the number of values over the sum of their reciprocals, n / Σ 1/x.

    Args:
        values: non-negative numbers.

    Returns:
        The harmonic mean; 0 if any value is 0 (the limit), NaN if there are no values or any is NaN.

    Raises:
        ValueError: a value is negative.

    Source: Maini et al., 2024, "TOFU", section 2.2.1, where it combines probability, ROUGE and truth ratio on three
        sets into the model utility.
    Departs: none.
    """
    x = np.fromiter(values, dtype=float)
    if (x < 0).any():
        raise ValueError(f"the harmonic mean needs values ≥ 0, not {x.min()}")
    if not len(x) or np.isnan(x).any():
        return float("nan")
    return float(len(x) / np.sum(1 / x)) if x.all() else 0.0
