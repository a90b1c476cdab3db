"""Benign fine-tuning: does forgetting survive training on text that has nothing to do with it?"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, ClassVar

from ...errors import DataError
from ...suites.corpus import Corpus, Example
from ..spec import AttackContext, attack
from .training_attack import TrainingAttack

__all__ = ["BenignFinetune"]


@attack("finetune")
@dataclasses.dataclass(frozen=True, slots=True)
class BenignFinetune(TrainingAttack):
    """k steps of full fine-tuning on general text, cosine to 0 at step k, no warm-up.

    Source: none; the counterpart of `relearn` with text that belongs to no suite.
    Departs: none.

    Attributes:
        k: optimizer steps.
        text: a UTF-8 text file, blank lines between its texts; "" for the embedded general corpus.
    """

    family: ClassVar[str] = "finetune"
    argument: ClassVar[str | None] = "k"
    version: ClassVar[int] = 1

    k: int = 50
    text: str = ""

    def own_text(self) -> Corpus | None:
        """The texts of the file, or None for the embedded corpus."""
        return _read(self.text) if self.text else None

    def apply(self, model: Any, context: AttackContext) -> dict[str, Any]:
        """Train on the general text."""
        own = self.own_text()
        corpus = context.general if own is None else own
        if not corpus.examples:
            raise DataError(f"corpus {corpus.name} is empty, so attack {self.family} has nothing to train on")
        ((_, diagnostics),) = self.stations(
            model, context, self.encoded(context, corpus), at=[self.k], schedule="cosine"
        )
        return diagnostics | {"text": corpus.name, "text_sha256": corpus.sha256}


def _read(path: str) -> Corpus:
    try:
        whole = Path(path).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"the text file {path} of attack finetune cannot be read: {error}") from error
    texts = [part.strip() for part in whole.split("\n\n")]
    return Corpus(path, tuple(Example(text) for text in texts if text))
