"""Selection of the checkpoint that becomes the model, based only on forgetting and retention without attacks."""

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
"""Largest number of sequences of each set on which a checkpoint is measured."""


class Candidate(NamedTuple):
    """A checkpoint and its measurements.

    Attributes:
        step: number of steps taken.
        forget: mean probability per token of the forget completions, from 0 to 1.
        retain: mean probability per token of the retain completions, from 0 to 1.
    """

    step: int
    forget: float
    retain: float


def best(selection: Selection, candidates: Sequence[Candidate]) -> Candidate:
    """Return the selected checkpoint; of equal ones, the latest.

    Args:
        selection: selection rule.
        candidates: checkpoints in order of their steps, at least one.
    """
    if selection.rule == "last":
        return candidates[-1]
    limit = 1.0 if selection.forget_at_most is None else selection.forget_at_most
    eligible = [c for c in candidates if c.forget <= limit]
    if eligible:
        return max(eligible, key=lambda c: (c.retain, c.step))
    return min(candidates, key=lambda c: (c.forget, -c.step))


def completion_probability(view: ModelView, batches: Batches) -> float:
    """Return the mean of exp(mean log-probability of the scored tokens) over up to `PROBES` evenly spaced sequences.

    These passes are not counted as training.
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
