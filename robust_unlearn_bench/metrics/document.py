"""Per-document metrics by name: a task can report every metric whose input it provides.

lm_eval --tasks muse_books_extraction --metadata '{"metrics": ["em", "prob"]}' …
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ..registry import Registry

__all__ = ["METRICS", "DocumentMetric", "Given", "Reading"]

Given = Literal["output", "tokens", "spread"]


@dataclass(frozen=True, slots=True)
class Reading:
    """A model's output and token statistics for one document's true text; None for what the task did not request.

    Attributes:
        reference: true text of the document.
        output: text that the model wrote in place of the true text.
        logprobs: natural log-probability of each token of the true text, [tokens].
        greedy: whether each of these tokens is the model's most likely one, [tokens].
        mean: expectation of the log-probability under the model's own distribution at each position, [tokens].
        std: standard deviation of the log-probability under the same distribution, [tokens].
    """

    reference: str
    output: str | None = None
    logprobs: Sequence[float] | None = None
    greedy: Sequence[bool] | None = None
    mean: Sequence[float] | None = None
    std: Sequence[float] | None = None

    @classmethod
    def scored(cls, reference: str, answer: Mapping[str, Any], output: str | None = None) -> Reading:
        """Build the reading of a true text whose tokens were scored.

        Args:
            reference: true text of the document.
            answer: answer to a `token_scores` request, see `harness.token_requests`.
            output: text that the model wrote in place of the true text.
        """
        tokens = {key: answer[key] for key in ("logprobs", "greedy", "mean", "std") if key in answer}
        return cls(reference, output, **tokens)

    @property
    def gives(self) -> frozenset[Given]:
        """Kinds of input that are present: "output", "tokens" (logprobs, greedy) and "spread" (mean, std)."""
        present: dict[Given, object] = {"output": self.output, "tokens": self.logprobs, "spread": self.std}
        return frozenset(name for name, value in present.items() if value is not None)


DocumentMetric = Callable[[Reading], float | None]
"""Function from a reading to a number, or None where undefined; a task's value is the mean over its documents."""

METRICS: Registry[DocumentMetric] = Registry(
    "metric", "metrics", "robust_unlearn_bench.metrics", requires_facts=("reads", "says")
)
"""Per-document metrics by name. Keyword arguments of the decorator:

    reads     input that the function needs: "output", "tokens", or "spread" (which implies tokens)
    says      meaning of a larger value: "more_knowledge" or "less_knowledge" of the text
"""
