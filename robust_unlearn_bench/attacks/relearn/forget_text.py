"""Relearning: do a few steps of fine-tuning bring back what the model was made to forget?"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Generator, Sequence
from typing import Any, ClassVar

from ...suites.corpus import Corpus
from ...training.schedule import Schedule
from ..attack import ATTACKS, AttackContext, Diagnostics
from .split import Halves, halves
from .training_attack import StepsAttack, TrainingAttack, corpora_of

__all__ = ["Relearn", "RelearnConst", "RelearnEpochs", "RelearnRetain", "RelearnSplit"]


@ATTACKS.register("relearn", label="relearn{k}", budget="steps")
@dataclasses.dataclass(frozen=True, slots=True)
class Relearn(StepsAttack):
    """k steps of full fine-tuning on the forget text, with cosine decay of the learning rate to 0 and no warm-up.

    Source: Fan et al. 2025, "Towards LLM unlearning resilient to relearning attacks" (lr 1e-5).
    Departs: fp32 master weights (see `precision`), where peers train in pure bf16.

    Attributes:
        k: optimizer steps.
    """

    name: ClassVar[str] = "relearn"


@ATTACKS.register("relearn_retain", label="relearn{k}_retain", budget="steps")
@dataclasses.dataclass(frozen=True, slots=True)
class RelearnRetain(StepsAttack):
    """Relearning as in `relearn`, but on the retain text: does knowledge return that the attacker never showed?

    Source: the retain-text relearning of Fan et al. 2025.
    Departs: as `relearn`.

    Attributes:
        k: optimizer steps.
    """

    name: ClassVar[str] = "relearn_retain"

    def corpus(self, context: AttackContext) -> Corpus:
        """Return the suite's retain text."""
        return corpora_of(self.name, context).retain


@ATTACKS.register("relearn_const", label="relearn_const{k}", budget="steps")
@dataclasses.dataclass(frozen=True, slots=True)
class RelearnConst(StepsAttack):
    """Relearning as in `relearn`, but at a constant learning rate, so that all k are stations of one trajectory.

    Source: none; the cosine of `relearn` ends at k, so a curve over k would need a separate run for each point.
    Departs: the learning rate is constant.

    Attributes:
        k: optimizer steps.
    """

    name: ClassVar[str] = "relearn_const"
    schedule: ClassVar[Schedule] = "constant"

    @property
    def trajectory(self) -> tuple[Any, ...]:
        """Name and every parameter except k."""
        return (self.name, *dataclasses.astuple(dataclasses.replace(self, k=1)))

    def stages(
        self, model: Any, context: AttackContext, stops: Sequence[int]
    ) -> Generator[tuple[int, Diagnostics], None, None]:
        """Train up to the largest stop, and yield at every stop with the model in its own dtype."""
        yield from self.stations(
            model, context, self.encoded(context, self.corpus(context)), at=sorted(set(stops)), schedule=self.schedule
        )


@ATTACKS.register("relearn_ep", label="relearn_ep{epochs}", budget="epochs")
@dataclasses.dataclass(frozen=True, slots=True)
class RelearnEpochs(TrainingAttack):
    """Epochs over a few forget samples, with linear decay to 0 after a warm-up of 10 % of the steps (for WMDP).

    Each sample is the first window of a forget text; samples are drawn without replacement.

    Source: the WMDP relearning of Fan et al. 2025 (40 samples, lr 1e-5, batch 4).
    Departs: padding is masked.

    Attributes:
        epochs: passes over the samples.
        samples: number of forget texts to draw; a smaller forget set is used whole.
    """

    name: ClassVar[str] = "relearn_ep"

    epochs: int = 1
    samples: int = 40

    def apply(self, model: Any, context: AttackContext) -> Diagnostics:
        """Train on the drawn samples."""
        sequences = self.encoded(context, self.corpus(context))
        first = {s.source: s for s in reversed(sequences)}
        drawn = random.Random(self.seed).sample(sorted(first), min(self.samples, len(first)))
        ((_, diagnostics),) = self.stations(
            model, context, [first[i] for i in drawn], epochs=self.epochs, schedule="linear", warmup=0.1
        )
        return diagnostics | {"samples": drawn}


@ATTACKS.register("relearn_split", label="relearn_split{k}", budget="steps")
@dataclasses.dataclass(frozen=True, slots=True)
class RelearnSplit(StepsAttack):
    """Relearning as in `relearn`, on half of the forget text: if the other half returns, it was hidden, not removed.

    Each half consists of whole clusters. Leaves that measure forgetting are scored only on documents of the held-out
    half (see `split`) and on text that no model has seen, the same documents for every model; leaves that measure
    utility are scored in full.

    Source: Deeb and Roger 2024, "Do unlearning methods remove information from language model weights?"
    Departs: trains for k steps like `relearn`, where the paper tunes learning rate and epochs.

    Attributes:
        k: optimizer steps.
    """

    name: ClassVar[str] = "relearn_split"
    version: ClassVar[int] = 2
    splits: ClassVar[bool] = True

    k: int = 20

    def halves(self, forget: Corpus) -> Halves:
        """Split the forget text into the half to train on and the half to measure on.

        Raises:
            DataError: the text is a single piece that cannot be split.
        """
        return halves(forget, self.seed)

    def corpus(self, context: AttackContext) -> Corpus:
        """Return the half of the forget text to train on."""
        return self.halves(corpora_of(self.name, context).forget).shown

    def apply(self, model: Any, context: AttackContext) -> Diagnostics:
        """Train on one half of the forget text."""
        parts = self.halves(corpora_of(self.name, context).forget)
        return StepsAttack.apply(self, model, context) | parts.report
