"""Benign fine-tuning: does forgetting survive training on unrelated text?"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, ClassVar

from ...errors import DataError
from ...suites.corpus import Corpus, Example
from ..attack import ATTACKS, AttackContext, Diagnostics
from .training_attack import StepsAttack

__all__ = ["BenignFinetune"]


@ATTACKS.register("finetune", label="finetune{k}", budget="steps", trains_on="general")
@dataclasses.dataclass(frozen=True, slots=True)
class BenignFinetune(StepsAttack):
    """Fine-tuning as in `relearn`, but on general text that belongs to no suite.

    Attributes:
        k: number of optimizer steps.
        text: path of a UTF-8 text file whose texts are separated by blank lines; "" for the embedded general corpus.

    Source: none; the counterpart of `relearn` with benign text.
    Departs: none.
    Cost: k·(F + B).
    """

    name: ClassVar[str] = "finetune"

    text: str = ""

    def own_text(self) -> Corpus | None:
        """Return the texts of the file, or None for the embedded corpus."""
        return _read(self.text) if self.text else None

    def corpus(self, context: AttackContext) -> Corpus:
        """Return the general text to train on."""
        own = self.own_text()
        corpus = context.general if own is None else own
        if not corpus.examples:
            raise DataError(f"corpus {corpus.name} is empty, so attack {self.name} has nothing to train on")
        return corpus

    def apply(self, model: Any, context: AttackContext) -> Diagnostics:
        """Train on the general text."""
        corpus = self.corpus(context)
        return StepsAttack.apply(self, model, context) | {"text": corpus.name, "text_sha256": corpus.sha256}


def _read(path: str) -> Corpus:
    try:
        whole = Path(path).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"the text file {path} of attack finetune cannot be read: {error}") from error
    texts = [part.strip() for part in whole.split("\n\n")]
    return Corpus(path, tuple(Example(text) for text in texts if text))
