"""ROUGE-L: longest common subsequence of words."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

from .document import METRICS, Reading

__all__ = ["Rouge", "rouge_l"]


class Rouge(NamedTuple):
    """Longest common subsequence as a fraction of the candidate's and the reference's words, and the harmonic mean."""

    precision: float
    recall: float
    f1: float


def rouge_l(reference: str, candidate: str, *, stemmer: bool) -> Rouge:
    """Compute ROUGE-L of two texts that are lower-cased and split at everything except letters and digits.

    Args:
        reference: the true text.
        candidate: the model's text.
        stemmer: whether words longer than three letters are reduced to their Porter stem first.

    Returns:
        Three values in [0, 1]; all 0 when either text has no word.

    Source: Lin, 2004; the `rouge-score` package. MUSE uses `f1` without a stemmer, TOFU `recall` with one.
    Departs: none.
    """
    return Rouge(*_scorer(stemmer).score(reference, candidate)["rougeL"])


@cache
def _scorer(stemmer: bool) -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rougeL"], use_stemmer=stemmer)


@METRICS.register("rougeL_f1", reads="output", says="more_knowledge")
def _rouge_f1(reading: Reading) -> float | None:
    """F1 of ROUGE-L between the model's text and the true one, without a stemmer, as in MUSE."""
    return None if reading.output is None else rouge_l(reading.reference, reading.output, stemmer=False).f1


@METRICS.register("rougeL_recall", reads="output", says="more_knowledge")
def _rouge_recall(reading: Reading) -> float | None:
    """Recall of ROUGE-L between the model's text and the true one, with a stemmer, as in TOFU."""
    return None if reading.output is None else rouge_l(reading.reference, reading.output, stemmer=True).recall
