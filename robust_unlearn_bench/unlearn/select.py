"""Which checkpoint of a run becomes the model: a rule that looks at clean forgetting and retention only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..objectives.masking import scored
from ..training.batching import Batches, by_length
from ..training.likelihood import scored_logprobs
from ..training.model_view import ModelView
from .recipe import Selection

__all__ = ["Candidate", "best", "completion_probability"]

PROBES = 64
"""Sequences of each set on which a checkpoint is measured."""


class Candidate(NamedTuple):
    """A checkpoint.

    Attributes:
        step: after how many steps.
        forget: mean probability per token of the forget completions, from 0 to 1.
        retain: the same of the retain completions.
    """

    step: int
    forget: float
    retain: float


def best(selection: Selection, candidates: Sequence[Candidate]) -> Candidate:
    """The chosen one, the later among equals.

    Args:
        selection: the rule.
        candidates: in order of their steps, at least one.
    """
    if selection.rule == "last":
        return candidates[-1]
    limit = 1.0 if selection.forget_at_most is None else selection.forget_at_most
    eligible = [c for c in candidates if c.forget <= limit]
    if eligible:
        return max(eligible, key=lambda c: (c.retain, c.step))
    return min(candidates, key=lambda c: (c.forget, -c.step))


def completion_probability(view: ModelView, batches: Batches) -> float:
    """Mean over up to `PROBES` sequences, evenly spaced, of exp(mean log-probability of the scored tokens).

    Its passes are not counted as training.
    """
    passes = view.count.forwards
    total = 0.0
    stride = max(1, -(-len(batches.sequences) // PROBES))
    chosen = range(0, len(batches.sequences), stride)
    probes = by_length(batches.sequences, chosen, batches.batch_size, batches.device)
    for batch, logp in scored_logprobs(view.logits, probes):
        total += float((logp.sum(1) / scored(batch.labels).sum(1).to(logp.device)).exp().sum())
    view.count.forwards = passes
    return total / len(chosen)
