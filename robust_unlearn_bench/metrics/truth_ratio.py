"""Probability of a true answer, by itself and relative to false answers.

An answer is represented by its mean log-probability ℓ = (1/T)·Σ log p(token), which makes answers of different length
comparable. The truth ratio R is kept as log R, because R itself overflows for a broken model.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from .document import METRICS, Reading

__all__ = ["closeness", "log_truth_ratio", "mean_logprob", "preference", "probability", "superiority"]


def mean_logprob(logprobs: Sequence[float]) -> float | None:
    """Compute ℓ, the mean natural log-probability of the tokens; None without tokens."""
    return math.fsum(logprobs) / len(logprobs) if logprobs else None


def probability(answer: float | None) -> float | None:
    """P(answer | question)^(1/T) = exp ℓ.

    Args:
        answer: mean log-probability of the answer.

    Source: Maini et al., 2024, "TOFU", section 2.2.1.
    Departs: none.
    """
    return None if answer is None else math.exp(answer)


def preference(true: float | None, false: Sequence[float | None]) -> float | None:
    """p_true / (p_true + Σ p_false) with p = exp ℓ: the share of the true answer among the options.

    Args:
        true: mean log-probability of the true answer.
        false: mean log-probabilities of the false answers.

    Returns:
        A value in [0, 1]; None if any log-probability is None.

    Source: Maini et al., 2024, "TOFU", section 2.2.1 (real authors, world facts).
    Departs: none.
    """
    options = [true, *false]
    if any(option is None for option in options):
        return None
    known = [option for option in options if option is not None]
    top = max(known)
    return math.exp(known[0] - top) / math.fsum(math.exp(option - top) for option in known)


def log_truth_ratio(true: float | None, false: Sequence[float | None], *, arithmetic: bool = False) -> float | None:
    """Compute the logarithm of the truth ratio R = mean of p_false / p_true, with p = exp ℓ.

    Args:
        true: mean log-probability of the paraphrased true answer (of the plain answer if there is no paraphrase).
        false: mean log-probabilities of the perturbed answers.
        arithmetic: average the probabilities rather than their logarithms.

    Returns:
        log R, negative if the model prefers the truth; None if any log-probability is None or `false` is empty.

    Source: Maini et al., 2024, "TOFU", eq. 1 is the arithmetic form; the authors' evaluation code averages the losses,
        which is the geometric form and the one behind their published numbers.
    Departs: returns log R instead of R.
    """
    known = [option for option in false if option is not None]
    if true is None or not known or len(known) < len(false):
        return None
    if not arithmetic:
        return math.fsum(known) / len(known) - true
    top = max(known)
    return top + math.log(math.fsum(math.exp(option - top) for option in known) / len(known)) - true


def closeness(log_ratio: float) -> float:
    """min(R, 1/R): 1 when true and false answers are equally likely, as for a model that never saw the forget set."""
    return math.exp(-abs(log_ratio))


def superiority(log_ratio: float) -> float:
    """max(0, 1 − R): how much likelier the true answer is than the false ones, for text that should be known."""
    return max(0.0, -math.expm1(min(log_ratio, 0.0)))


@METRICS.register("prob", reads="tokens", says="more_knowledge")
def _prob(reading: Reading) -> float | None:
    """`probability` of the true text: the geometric mean of the probabilities of its tokens."""
    return None if reading.logprobs is None else probability(mean_logprob(reading.logprobs))
