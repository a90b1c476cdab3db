"""Memorisation of a text, computed from one greedy-match flag per token under teacher forcing."""

from __future__ import annotations

from collections.abc import Sequence

from .document import METRICS, Reading

__all__ = [
    "exact_memorization",
    "extraction_strength",
    "extraction_strength_ou",
]


def extraction_strength(greedy: Sequence[bool]) -> float | None:
    """1 − k/T, where k is the length of the shortest prefix of the T tokens that greedy decoding completes.

    Greedy decoding reproduces the text from token k on if and only if every flag from k on is true, so k follows from
    the flags of one teacher-forced pass.

    Args:
        greedy: whether each token is the model's most likely one given the true tokens before it, [T].

    Returns:
        A value in [0, 1]: 1 when the prompt alone yields the text, 0 when not even the last token is predicted. None
        for fewer than two tokens, where a single guess would count as full extraction.

    Source: Carlini et al., 2021, "Extracting training data from large language models", in the form of Wang et al.,
        2025, "Towards effective evaluations and comparisons for LLM unlearning methods" (extraction strength).
    Departs: texts of one token are left unscored.
    """
    return None if len(greedy) < 2 else _matching_tail(greedy) / len(greedy)


def extraction_strength_ou(greedy: Sequence[bool]) -> float | None:
    """Compute extraction strength as open-unlearning does: it is never below 1/T, and one-token texts count.

    Args:
        greedy: flags as in `extraction_strength`, [T].

    Returns:
        A value in [1/T, 1]; None for a text without tokens.

    Source: open-unlearning, `src/evals/metrics/memorization.py`, whose search over k ends at T − 1 whether or not the
        last token matches.
    Departs: a text without tokens gives None, where open-unlearning gives 0.
    """
    return max(_matching_tail(greedy), 1) / len(greedy) if greedy else None


def exact_memorization(greedy: Sequence[bool]) -> float | None:
    """Compute the fraction of tokens that are most likely given the true tokens before them; None without tokens.

    Source: Tirumala et al., 2022, "Memorization without overfitting", section 3.
    Departs: none.
    """
    return sum(greedy) / len(greedy) if greedy else None


def _matching_tail(greedy: Sequence[bool]) -> int:
    """Return the length of the run of matches at the end."""
    tail = 0
    for match in reversed(greedy):
        if not match:
            break
        tail += 1
    return tail


@METRICS.register("es", reads="tokens", says="more_knowledge")
def _es(reading: Reading) -> float | None:
    """`extraction_strength` of the true text."""
    return None if reading.greedy is None else extraction_strength(reading.greedy)


@METRICS.register("es_ou", reads="tokens", says="more_knowledge")
def _es_ou(reading: Reading) -> float | None:
    """`extraction_strength_ou` of the true text."""
    return None if reading.greedy is None else extraction_strength_ou(reading.greedy)


@METRICS.register("em", reads="tokens", says="more_knowledge")
def _em(reading: Reading) -> float | None:
    """`exact_memorization` of the true text."""
    return None if reading.greedy is None else exact_memorization(reading.greedy)
