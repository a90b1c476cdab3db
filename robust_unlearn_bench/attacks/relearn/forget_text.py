"""Relearning: does the model know again what it was made to forget, after a few steps on the forget text?"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from ...suites.corpus import Corpus
from ..spec import AttackContext, attack
from .split import Halves, halves
from .training_attack import TrainingAttack, corpora_of

__all__ = ["Relearn", "RelearnConst", "RelearnEpochs", "RelearnRetain", "RelearnSplit"]


@attack("relearn")
@dataclasses.dataclass(frozen=True, slots=True)
class Relearn(TrainingAttack):
    """k steps of full fine-tuning on the forget text, cosine to 0 at step k, no warm-up.

    Source: Fan et al. 2025, "Towards LLM unlearning resilient to relearning attacks" (lr 1e-5).
    Departs: fp32 master weights (`precision` says so), where peers train in pure bf16.

    Attributes:
        k: optimizer steps.
    """

    family: ClassVar[str] = "relearn"
    argument: ClassVar[str | None] = "k"
    version: ClassVar[int] = 1

    k: int = 50

    def apply(self, model: Any, context: AttackContext) -> dict[str, Any]:
        """Train on the forget text."""
        corpus = corpora_of(self.family, context).forget
        ((_, diagnostics),) = self.stations(
            model, context, self.encoded(context, corpus), at=[self.k], schedule="cosine"
        )
        return diagnostics


@attack("relearn_retain")
@dataclasses.dataclass(frozen=True, slots=True)
class RelearnRetain(TrainingAttack):
    """As `relearn`, on the retain text: does knowledge come back that nobody showed again?

    Source: the retain-text relearning of Fan et al. 2025.
    Departs: as `relearn`.

    Attributes:
        k: optimizer steps.
    """

    family: ClassVar[str] = "relearn_retain"
    argument: ClassVar[str | None] = "k"
    version: ClassVar[int] = 1

    k: int = 50

    def apply(self, model: Any, context: AttackContext) -> dict[str, Any]:
        """Train on the retain text."""
        corpus = corpora_of(self.family, context).retain
        ((_, diagnostics),) = self.stations(
            model, context, self.encoded(context, corpus), at=[self.k], schedule="cosine"
        )
        return diagnostics


@attack("relearn_const")
@dataclasses.dataclass(frozen=True, slots=True)
class RelearnConst(TrainingAttack):
    """As `relearn` at a constant learning rate, so that every k lies on one trajectory.

    Source: none; the cosine of `relearn` ends at k, which would need a run for every point of a curve.
    Departs: constant rate.

    Attributes:
        k: optimizer steps.
    """

    family: ClassVar[str] = "relearn_const"
    argument: ClassVar[str | None] = "k"
    version: ClassVar[int] = 1

    k: int = 50

    @property
    def trajectory(self) -> tuple[Any, ...]:
        """Equal for attacks that `stages` can serve in one run: everything but k."""
        return (self.family, *dataclasses.astuple(dataclasses.replace(self, k=1)))

    def stages(self, model: Any, context: AttackContext, ks: Sequence[int]) -> Iterator[tuple[int, dict[str, Any]]]:
        """Train max(ks) steps in all, and stop at every k with the model in its own dtype.

        Close the generator before restoring weights when it is not run to its end.
        """
        corpus = corpora_of(self.family, context).forget
        yield from self.stations(model, context, self.encoded(context, corpus), at=sorted(set(ks)), schedule="constant")

    def apply(self, model: Any, context: AttackContext) -> dict[str, Any]:
        """Train on the forget text."""
        ((_, diagnostics),) = self.stages(model, context, [self.k])
        return diagnostics


@attack("relearn_ep")
@dataclasses.dataclass(frozen=True, slots=True)
class RelearnEpochs(TrainingAttack):
    """Epochs over a few forget samples, linear to 0 after a warm-up of 10 % of the steps (WMDP).

    Each sample is the first window of a forget text; samples are drawn without replacement.

    Source: the WMDP relearning of Fan et al. 2025 (40 samples, lr 1e-5, batch 4).
    Departs: padding is masked.

    Attributes:
        epochs: passes over the samples.
        samples: forget texts; a smaller forget set is used whole.
    """

    family: ClassVar[str] = "relearn_ep"
    argument: ClassVar[str | None] = "epochs"
    version: ClassVar[int] = 1

    epochs: int = 1
    samples: int = 40

    def apply(self, model: Any, context: AttackContext) -> dict[str, Any]:
        """Train on the drawn samples."""
        corpus = corpora_of(self.family, context).forget
        sequences = self.encoded(context, corpus)
        first = {s.source: s for s in reversed(sequences)}
        drawn = random.Random(self.seed).sample(sorted(first), min(self.samples, len(first)))
        ((_, diagnostics),) = self.stations(
            model, context, [first[i] for i in drawn], epochs=self.epochs, schedule="linear", warmup=0.1
        )
        return diagnostics | {"samples": drawn}


@attack("relearn_split")
@dataclasses.dataclass(frozen=True, slots=True)
class RelearnSplit(TrainingAttack):
    """As `relearn`, on half of the forget text: what comes back of the other half was hidden, not removed.

    The halves are made of whole clusters. Leaves that measure forgetting are scored on documents of the half that was
    held out alone (see `split`), the same ones for every model; leaves that measure utility stay whole.

    Source: Deeb and Roger 2024, "Do unlearning methods remove information from language model weights?"
    Departs: k steps as `relearn` does them, where the paper tunes learning rate and epochs.

    Attributes:
        k: optimizer steps.
    """

    family: ClassVar[str] = "relearn_split"
    argument: ClassVar[str | None] = "k"
    version: ClassVar[int] = 2

    k: int = 20

    def halves(self, forget: Corpus) -> Halves:
        """The half to train on and the half to measure on.

        Raises:
            DataError: the text is one piece.
        """
        return halves(forget, self.seed)

    def apply(self, model: Any, context: AttackContext) -> dict[str, Any]:
        """Train on one half of the forget text."""
        parts = self.halves(corpora_of(self.family, context).forget)
        ((_, diagnostics),) = self.stations(
            model, context, self.encoded(context, parts.shown), at=[self.k], schedule="cosine"
        )
        return diagnostics | parts.report
