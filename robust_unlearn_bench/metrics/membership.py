"""Membership inference: is a passage more familiar to the model than one it has never seen?

Every score is lower for a more familiar text. `auc` treats the forget side as non-members: it approaches 0 for a
memorised forget set, about ½ for one that is as familiar as unseen text, and 1 for one that is less familiar.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from .document import METRICS, Reading

__all__ = [
    "MIN_K",
    "SIDES",
    "auc",
    "familiarity",
    "loss",
    "min_k",
    "min_k_plus_plus",
    "privleak",
    "zlib_ratio",
]

MIN_K = 0.4
"""Fraction of a text's tokens, the least likely ones, that Min-K % averages in MUSE."""

_LEAST_STD = 1e-6

Nats = TypeVar("Nats", float, NDArray[np.float64])


def min_k(logprobs: Sequence[float], fraction: float = MIN_K) -> float | None:
    """Compute Min-K %: minus the mean of the ⌊fraction·T⌋ lowest of T token log-probabilities.

    Args:
        logprobs: natural log-probability of each token.
        fraction: K as a fraction of the tokens.

    Returns:
        A value in nats, lower for a familiar text; None when ⌊fraction·T⌋ = 0 (below 3 tokens at 40 %).

    Source: Shi et al., 2024, "Detecting pretraining data from large language models", eq. 1; Shi et al., 2025, "MUSE".
    Departs: texts too short to average a single token are unscored.
    """
    return _lowest(np.asarray(logprobs, dtype=float), fraction)


def min_k_plus_plus(
    logprobs: Sequence[float], mean: Sequence[float], std: Sequence[float], fraction: float = MIN_K
) -> float | None:
    """Compute Min-K++: `min_k` of the log-probabilities, standardised at each position.

    Args:
        logprobs: natural log-probability of each token.
        mean: expectation of the log-probability under the model's own distribution at that position.
        std: standard deviation of the log-probability under the same distribution.
        fraction: K as a fraction of the tokens.

    Returns:
        A dimensionless value, lower for a familiar text; None as in `min_k`.

    Source: Zhang et al., 2025, "Min-K%++: improved baseline for pre-training data detection".
    Departs: a standard deviation below 1e-6 (the model is certain) counts as 1e-6.
    """
    own, centre, spread = (np.asarray(column, dtype=float) for column in (logprobs, mean, std))
    return _lowest((own - centre) / np.maximum(spread, _LEAST_STD), fraction)


def loss(logprobs: Sequence[float]) -> float | None:
    """Compute the mean negative log-probability of the tokens in nats; None without tokens.

    Source: Yeom et al., 2018, "Privacy risk in machine learning".
    Departs: none.
    """
    return float(-np.mean(logprobs)) if len(logprobs) else None


def zlib_ratio(logprobs: Sequence[float], text: str) -> float | None:
    """Compute the mean negative log-probability divided by the size of the zlib-compressed text in bytes.

    None without tokens.

    Source: Carlini et al., 2021, "Extracting training data from large language models", section 5.1.
    Departs: none.
    """
    nats = loss(logprobs)
    return None if nats is None else nats / len(zlib.compress(text.encode()))


def auc(forget: Sequence[float], holdout: Sequence[float]) -> float:
    """Compute the probability that a holdout score is below a forget score, with ties counting half.

    Args:
        forget: scores of the forget passages, [n].
        holdout: scores of passages that the model has never seen, [m].

    Returns:
        A value in [0, 1]; NaN when either side is empty.

    Source: Hanley and McNeil, 1982 (the Mann–Whitney form of the area under the ROC curve).
    Departs: none.
    """
    ours, theirs = np.asarray(forget, dtype=float), np.sort(np.asarray(holdout, dtype=float))
    if not len(ours) or not len(theirs):
        return float("nan")
    below = np.searchsorted(theirs, ours, side="left").sum()
    not_above = np.searchsorted(theirs, ours, side="right").sum()
    return float(below + not_above) / (2 * len(ours) * len(theirs))


SIDES = frozenset({"forget", "holdout"})
"""Sides of a membership test, as keys of one document's score."""


def familiarity(forget: Nats, holdout: Nats) -> Nats:
    """Compute 1 − (mean score of the forget passages) / (mean score of the holdout passages).

    An AUC is at its bound as soon as every forget passage is more familiar than every unseen one; this share still tells
    how much more familiar, and it does not depend on the scale of the scores, so that a model's temperature cancels to
    first order.

    Args:
        forget: mean Min-K % score or loss of the forget passages in nats, above 0.
        holdout: the same of passages that the model has never seen, above 0; an array of the same shape, or a number.

    Returns:
        1 for a memorised forget set, about 0 for one that is as familiar as unseen text, below 0 for a less familiar one.

    Source: none; Eldan and Russinovich (2023) and MUSE compare the same likelihoods by rank.
    Departs: none.
    """
    return 1 - forget / holdout


def privleak(model_auc: float, retrain_auc: float) -> float:
    """(AUC − AUC of the retrain model) / AUC of the retrain model.

    Args:
        model_auc: `auc` of the evaluated model.
        retrain_auc: `auc` of a model trained without the forget set.

    Returns:
        −1 if the forget set is fully memorised, 0 if the AUC equals the retrain model's, and above 0 if the forget set
        is less familiar than to the retrain model (over-unlearned).

    Raises:
        ValueError: the retrain AUC is not in (0, 1].

    Source: Shi et al., 2025, "MUSE", PrivLeak (there in percent).
    Departs: none.
    """
    if not 0 < retrain_auc <= 1:
        raise ValueError(f"retrain_auc={retrain_auc!r} must lie in (0, 1]")
    return (model_auc - retrain_auc) / retrain_auc


def _lowest(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]], fraction: float) -> float | None:
    count = int(fraction * len(values))
    return float(-np.mean(np.partition(values, count - 1)[:count])) if count else None


@METRICS.register("min40", reads="tokens", says="less_knowledge")
def _min40(reading: Reading) -> float | None:
    """`min_k` of the true text at 40 %, in nats."""
    return None if reading.logprobs is None else min_k(reading.logprobs)


@METRICS.register("loss", reads="tokens", says="less_knowledge")
def _loss(reading: Reading) -> float | None:
    """`loss` of the true text, in nats per token."""
    return None if reading.logprobs is None else loss(reading.logprobs)


@METRICS.register("zlib", reads="tokens", says="less_knowledge")
def _zlib(reading: Reading) -> float | None:
    """`zlib_ratio` of the true text, in nats per token and byte."""
    return None if reading.logprobs is None else zlib_ratio(reading.logprobs, reading.reference)


@METRICS.register("minkpp", reads="spread", says="less_knowledge")
def _minkpp(reading: Reading) -> float | None:
    """`min_k_plus_plus` of the true text at 40 %, dimensionless."""
    if reading.logprobs is None or reading.mean is None or reading.std is None:
        return None
    return min_k_plus_plus(reading.logprobs, reading.mean, reading.std)
