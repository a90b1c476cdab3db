"""Metrics of one document, by name: any task that gives what a metric reads can report it.

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
    """What a model made of one document's true text; None where the task did not ask for it.

    Attributes:
        reference: the true text.
        output: the text that the model wrote in its place.
        logprobs: natural log-probability of each token of the true text, [tokens].
        greedy: whether each of these tokens is the model's most likely one, [tokens].
        mean: expectation of the log-probability under the model's own distribution at each position, [tokens].
        std: its standard deviation there, [tokens].
    """

    reference: str
    output: str | None = None
    logprobs: Sequence[float] | None = None
    greedy: Sequence[bool] | None = None
    mean: Sequence[float] | None = None
    std: Sequence[float] | None = None

    @classmethod
    def scored(cls, reference: str, answer: Mapping[str, Any], output: str | None = None) -> Reading:
        """The reading of a true text whose tokens were scored.

        Args:
            reference: the true text.
            answer: what a `token_scores` request answers, see `harness.token_requests`.
            output: the text that the model wrote in its place.
        """
        tokens = {key: answer[key] for key in ("logprobs", "greedy", "mean", "std") if key in answer}
        return cls(reference, output, **tokens)

    @property
    def gives(self) -> frozenset[Given]:
        """What a metric can read here: the output; tokens (logprobs, greedy); their spread (mean, std)."""
        present: dict[Given, object] = {"output": self.output, "tokens": self.logprobs, "spread": self.std}
        return frozenset(name for name, value in present.items() if value is not None)


DocumentMetric = Callable[[Reading], float | None]
"""One number about one document, None where it is not defined; a task's value is the mean over its documents."""

METRICS: Registry[DocumentMetric] = Registry(
    "metric", "metrics", "robust_unlearn_bench.metrics", requires_facts=("reads", "says")
)
"""Metric name → function of a reading. What the decorator says:

    reads     what the function needs: "output", "tokens", or "spread" (and tokens)
    says      what a larger value means: "more_knowledge" or "less_knowledge" of the text
"""
