"""Training text of a suite: what attacks, unlearners and quantisers train or calibrate on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

__all__ = ["Corpora", "Corpus", "Example"]


@dataclass(frozen=True, slots=True)
class Example:
    """One training or calibration text: the loss falls on `completion`; `prompt` is "" for running text."""

    completion: str
    prompt: str = ""
    cluster: str = ""


@dataclass(frozen=True, slots=True)
class Corpus:
    """A named, ordered set of examples.

    Attributes:
        name: "suite/forget", "suite/retain", …
        examples: in dataset order.
    """

    name: str
    examples: tuple[Example, ...]

    @property
    def sha256(self) -> str:
        """Content hash, over the examples in order."""
        digest = hashlib.sha256()
        for example in self.examples:
            for part in (example.prompt, example.completion):
                raw = part.encode()
                digest.update(len(raw).to_bytes(8, "big") + raw)
        return digest.hexdigest()

    @property
    def texts(self) -> list[str]:
        """Prompt and completion joined, one string an example."""
        return [example.prompt + example.completion for example in self.examples]

    def __len__(self) -> int:
        return len(self.examples)


@dataclass(frozen=True, slots=True)
class Corpora:
    """What attacks and unlearners of one suite may train or calibrate on."""

    forget: Corpus
    retain: Corpus
