"""Benign text that belongs to no suite."""

from __future__ import annotations

from ..world.source import general
from .corpus import Corpus, Example

__all__ = ["general_corpus"]


def general_corpus(size: str = "nano") -> Corpus:
    """Return text without proper names, for benign fine-tuning and for calibration.

    Args:
        size: size of the fictional world that the text comes from ("nano" is the frozen one).
    """
    return Corpus(f"{size}/general", tuple(Example(row["text"], cluster=row["cluster"]) for row in general(size)))
