"""Forget quality: do the unlearned model's truth ratios have the retrain model's distribution?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["KS", "kolmogorov_smirnov"]


class KS(NamedTuple):
    """Largest distance between two empirical distribution functions, and the probability of one as large by chance."""

    distance: float
    p_value: float


def kolmogorov_smirnov(candidate: Sequence[float], reference: Sequence[float]) -> KS:
    """Run a two-sided two-sample Kolmogorov–Smirnov test.

    Any increasing transformation of both samples, such as the logarithm, leaves the result unchanged.

    Args:
        candidate: truth ratios of the evaluated model, [n].
        reference: truth ratios of the retrain model, [m].

    Returns:
        The distance and the p-value, both in [0, 1], or NaN if either sample is empty. TOFU's forget quality is the
        p-value.

    Source: Maini et al., 2024, "TOFU", section 2.2.2; `scipy.stats.ks_2samp` with its defaults.
    Departs: none.
    """
    if not len(candidate) or not len(reference):
        return KS(float("nan"), float("nan"))
    from scipy.stats import ks_2samp

    result = ks_2samp(candidate, reference)
    return KS(float(result.statistic), float(result.pvalue))
