"""A metric: how many of the true words the model writes."""

from __future__ import annotations

from robust_unlearn_bench.metrics.document import METRICS, Reading


@METRICS.register("word_recall", reads="output", says="more_knowledge")
def word_recall(reading: Reading) -> float | None:
    """Share of the distinct words of the true text that occur in the model's text; None for a text without words."""
    true = set(reading.reference.split())
    return len(true & set((reading.output or "").split())) / len(true) if true else None
