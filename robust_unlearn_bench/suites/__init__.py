"""Suites of unlearning tasks, with their leaves and data. `SUITES` maps a name to a `Suite`."""

from __future__ import annotations

from .corpus import Corpora, Corpus, Example
from .suite import SUITES, Leaf, Metric, Request, Source, Suite

__all__ = ["SUITES", "Corpora", "Corpus", "Example", "Leaf", "Metric", "Request", "Source", "Suite"]
