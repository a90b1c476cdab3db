"""Text of a suite that attacks and unlearners train on and quantisers calibrate on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

__all__ = ["Corpora", "Corpus", "Example"]


@dataclass(frozen=True, slots=True)
class Example:
    """One training or calibration text; the loss is taken on `completion`, and `prompt` is "" for running text."""

    completion: str
    prompt: str = ""
    cluster: str = ""


@dataclass(frozen=True, slots=True)
class Corpus:
    """A named, ordered set of examples.

    Attributes:
        name: name of the corpus: "suite/forget", "suite/retain", …
        examples: examples in dataset order.
    """

    name: str
    examples: tuple[Example, ...]

    @property
    def sha256(self) -> str:
        """Hash of the content of all examples in order."""
        digest = hashlib.sha256()
        for example in self.examples:
            for part in (example.prompt, example.completion):
                raw = part.encode()
                digest.update(len(raw).to_bytes(8, "big") + raw)
        return digest.hexdigest()

    @property
    def texts(self) -> list[str]:
        """Prompt and completion joined, one string per example."""
        return [example.prompt + example.completion for example in self.examples]

    def __len__(self) -> int:
        return len(self.examples)


@dataclass(frozen=True, slots=True)
class Corpora:
    """Forget and retain text of one suite, for attacks and unlearners to train or calibrate on."""

    forget: Corpus
    retain: Corpus
