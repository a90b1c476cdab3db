"""The text that quantisers and pruners are calibrated on, and the text that measures the damage they do."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from ..errors import DataError, UnknownNameError
from ..suites.corpus import Corpus
from ..training.encoding import prefix_ids
from .attack import NAME_A_SUITE, AttackContext

__all__ = ["Calibration", "CalibrationText", "calibrate", "check_text", "probe"]

CalibrationText = Literal["retain", "forget", "general"]

PASSAGE_WORDS = 50
"""Number of consecutive words of a forget text that count as a passage; a shorter text counts as a whole."""
SHORTEST_PASSAGE = 8
"""Forget texts with fewer words are ignored, because they also occur in unrelated text."""
PROBE_WINDOWS = 8
"""Windows on which perplexity is measured."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Calibration text as windows of token ids.

    Attributes:
        windows: token ids, each [length], BOS first where the tokenizer adds it.
        corpus: name of the corpus that the windows were cut from.
        left_out: number of windows that were drawn and left out because they contain a passage of the forget text.
    """

    windows: tuple[Tensor, ...]
    corpus: str
    left_out: int

    @property
    def report(self) -> dict[str, Any]:
        """Name of the corpus, hash of the token ids in order, and number of windows and tokens."""
        digest = hashlib.sha256()
        for window in self.windows:
            digest.update(len(window).to_bytes(8, "big") + window.to(torch.int64).numpy().tobytes())
        return {
            "corpus": self.corpus,
            "sha256": digest.hexdigest(),
            "samples": len(self.windows),
            "tokens": sum(len(window) for window in self.windows),
            "left_out_for_forget_text": self.left_out,
        }


def check_text(attack: str, text: str) -> None:
    """Refuse an unknown calibration text.

    Args:
        attack: family of the attack, for the error message.
        text: value to check.

    Raises:
        UnknownNameError: there is no calibration text of this name.
    """
    if text not in get_args(CalibrationText):
        raise UnknownNameError(f"calibration text of attack {attack}", text, get_args(CalibrationText))


def calibrate(context: AttackContext, text: CalibrationText, samples: int, length: int, seed: int) -> Calibration:
    """Cut a corpus into windows and draw `samples` of them without replacement.

    Windows that contain a passage of the forget text are left out, unless the forget text itself was asked for.

    Args:
        context: corpora, tokenizer and window of the model; without corpora, "retain" means the general text.
        text: corpus to draw from.
        samples: number of windows; a small corpus gives fewer.
        length: number of tokens in a window, BOS included, at most the model's own window.
        seed: seed of the draw.

    Raises:
        DataError: the corpus is missing or too small, or more than one window in ten contains forget passages.
    """
    corpus = _corpus(context, text)
    windows = _cut(corpus, context.tokenizer, min(length, context.window))
    forget = context.corpora.forget if context.corpora and text != "forget" else None
    passages = _Passages(forget)
    chosen: list[Tensor] = []
    left_out = 0
    for i in _order(len(windows), seed):
        if passages.within(context.tokenizer.decode(windows[i], skip_special_tokens=True)):
            left_out += 1
        elif len(chosen) < samples:
            chosen.append(windows[i])
        if len(chosen) == samples:
            break
    if left_out > 0.1 * (left_out + len(chosen)):
        raise DataError(
            f"calibration text {corpus.name} holds passages of the forget text in {left_out} of "
            f"{left_out + len(chosen)} windows: calibrate on other text, or ask for it with calibration=forget"
        )
    return Calibration(tuple(chosen), corpus.name, left_out)


def probe(context: AttackContext, length: int = 2048, seed: int = 0) -> list[Tensor]:
    """Windows of retain text (of general text where there are no corpora) on which perplexity is measured.

    These are the last 8 windows in the order of the draw, and calibration takes the first, so the two overlap only where
    the corpus has fewer than samples + 8 windows.

    Args:
        context: corpora, tokenizer and window of the model.
        length: number of tokens in a window, BOS included, at most the model's own window.
        seed: seed of the draw.

    Returns:
        Token ids, each [length]; fewer than 8 windows where the corpus is smaller.

    Raises:
        DataError: the corpus is empty or too small.
    """
    windows = _cut(_corpus(context, "retain"), context.tokenizer, min(length, context.window))
    return [windows[i] for i in _order(len(windows), seed)[-PROBE_WINDOWS:]]


def _corpus(context: AttackContext, text: CalibrationText) -> Corpus:
    if text == "general" or (context.corpora is None and text == "retain"):
        return context.general
    if context.corpora is None:
        raise DataError(
            f"calibration=forget needs a suite with forget text, and this task belongs to none: {NAME_A_SUITE}"
        )
    return context.corpora.forget if text == "forget" else context.corpora.retain


def _order(count: int, seed: int) -> list[int]:
    order: list[int] = torch.randperm(count, generator=torch.Generator().manual_seed(seed)).tolist()
    return order


def _cut(corpus: Corpus, tokenizer: Any, length: int) -> list[Tensor]:
    """All examples in order, EOS between them, cut into windows of `length` tokens that begin as a text does.

    The remainder is dropped where it is shorter than a window, unless there is no other window.
    """
    head = prefix_ids(tokenizer)
    tail = [] if tokenizer.eos_token_id is None else [int(tokenizer.eos_token_id)]
    if not corpus.examples:
        raise DataError(f"corpus {corpus.name} is empty: there is no text to calibrate or measure on")
    texts = tokenizer(corpus.texts, add_special_tokens=False, verbose=False)["input_ids"]
    stream = [token for text in texts for token in (*text, *tail)]
    room = length - len(head)
    if room < 1 or len(stream) < 2:
        raise DataError(f"corpus {corpus.name} has {len(stream)} tokens for windows of {length}: give more text")
    starts = range(0, max(1, len(stream) - room + 1), room)
    return [torch.tensor(head + stream[at : at + room]) for at in starts]


class _Passages:
    """Passages of the forget text, indexed by their first words to find them in other text."""

    def __init__(self, forget: Corpus | None) -> None:
        self._by_start: dict[tuple[str, ...], set[tuple[str, ...]]] = {}
        for example in forget.examples if forget else ():
            for passage in _pieces(_words(example.completion)):
                self._by_start.setdefault(passage[:SHORTEST_PASSAGE], set()).add(passage)

    def within(self, text: str) -> bool:
        words = _words(text) if self._by_start else ()
        return any(
            words[i : i + len(passage)] == passage
            for i in range(len(words) - SHORTEST_PASSAGE + 1)
            for passage in self._by_start.get(words[i : i + SHORTEST_PASSAGE], ())
        )


def _words(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"\w+", text.lower()))


def _pieces(words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Consecutive passages of a text, without a remainder that is too short."""
    for start in range(0, len(words), PASSAGE_WORDS):
        piece = words[start : start + PASSAGE_WORDS]
        if len(piece) == PASSAGE_WORDS or (start == 0 and len(piece) >= SHORTEST_PASSAGE):
            yield piece
