"""Relearning: do a few steps of fine-tuning bring back what the model was made to forget?"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Generator, Sequence
from typing import Any, ClassVar, Literal

from ...suites.corpus import Corpus
from ..attack import ATTACKS, AttackContext, Diagnostics
from .split import Halves, halves
from .training_attack import ConstantRate, StepsAttack, TrainingAttack, corpora_of

__all__ = [
    "Relearn",
    "RelearnConst",
    "RelearnConstX5",
    "RelearnConstX20",
    "RelearnEpochs",
    "RelearnMuon",
    "RelearnRetain",
    "RelearnRetainConst",
    "RelearnSplit",
    "RelearnSplitConst",
]


@ATTACKS.register("relearn", label="relearn{k}", budget="steps", trains_on="forget")
@dataclasses.dataclass(frozen=True, slots=True)
class Relearn(StepsAttack):
    """k steps of full fine-tuning on the forget text; the learning rate falls to 0 along a cosine, without warm-up.

    Attributes:
        k: number of optimizer steps.

    Source: Fan et al. 2025, "Towards LLM unlearning resilient to relearning attacks" (lr 1e-5).
    Departs: fp32 master weights, where peers train in pure bf16: at lr 1e-5 bf16 swallows most steps
        (`precision=bf16_pure` gives theirs).
    Cost: k·(F + B).
    """

    name: ClassVar[str] = "relearn"


@ATTACKS.register("relearn_retain", label="relearn{k}_retain", budget="steps", trains_on="retain")
@dataclasses.dataclass(frozen=True, slots=True)
class RelearnRetain(StepsAttack):
    """Relearning as in `relearn`, but on the retain text: does knowledge return that the attacker never showed?

    Attributes:
        k: number of optimizer steps.

    Source: the retain-text relearning of Fan et al. 2025.
    Departs: as `relearn`.
    Cost: k·(F + B).
    """

    name: ClassVar[str] = "relearn_retain"

    def corpus(self, context: AttackContext) -> Corpus:
        """Return the suite's retain text."""
        return corpora_of(self.name, context).retain


@ATTACKS.register("relearn_const", label="relearn_const{k}", budget="steps", trains_on="forget")
@dataclasses.dataclass(frozen=True, slots=True)
class RelearnConst(ConstantRate):
    """As `relearn`, at a constant learning rate, so that every k is a station of one trajectory.

    Attributes:
        k: number of optimizer steps.

    Source: none; the cosine of `relearn` ends at k, so that a curve over k would need a run for each of its points.
    Departs: constant learning rate.
    Cost: (F + B) times the largest k, for all k of a suite together.
    """

    name: ClassVar[str] = "relearn_const"


@ATTACKS.register("relearn_const_x5", label="relearn_const{k}_x5", budget="steps", trains_on="forget")
@dataclasses.dataclass(frozen=True, slots=True)
class RelearnConstX5(ConstantRate):
    """As `relearn_const`, at five times its learning rate.

    Attributes:
        k: number of optimizer steps.

    Source: none; a rung of the ladder of rates, because methods that withstand one rate give way to another.
    Departs: constant learning rate.
    Cost: as `relearn_const`.
    """

    name: ClassVar[str] = "relearn_const_x5"

    lr: float = 5e-5


@ATTACKS.register("relearn_const_x20", label="relearn_const{k}_x20", budget="steps", trains_on="forget")
@dataclasses.dataclass(frozen=True, slots=True)
class RelearnConstX20(ConstantRate):
    """As `relearn_const`, at twenty times its learning rate.

    Attributes:
        k: number of optimizer steps.

    Source: none; a rung of the ladder of rates.
    Departs: constant learning rate.
    Cost: as `relearn_const`.
    """

    name: ClassVar[str] = "relearn_const_x20"

    lr: float = 2e-4


@ATTACKS.register("relearn_muon", label="relearn_muon{k}_x10", budget="steps", trains_on="forget")
@dataclasses.dataclass(frozen=True, slots=True)
class RelearnMuon(ConstantRate):
    """As `relearn_const`, with Muon in place of AdamW and at ten times its learning rate.

    Attributes:
        k: number of optimizer steps.

    Source: Jordan et al., 2024, "Muon", for the optimizer; on the nano suites it brings back more within the same steps
        than AdamW at any rate.
    Departs: constant learning rate.
    Cost: as `relearn_const`, with one moment in place of two.
    """

    name: ClassVar[str] = "relearn_muon"

    lr: float = 1e-4
    optimizer: Literal["adam", "adam8bit", "muon"] = "muon"


@ATTACKS.register("relearn_retain_const", label="relearn_retain_const{k}_x5", budget="steps", trains_on="retain")
@dataclasses.dataclass(frozen=True, slots=True)
class RelearnRetainConst(ConstantRate):
    """As `relearn_const_x5`, but on the retain text.

    Attributes:
        k: number of optimizer steps.

    Source: the retain-text relearning of Fan et al. 2025.
    Departs: constant learning rate.
    Cost: as `relearn_const`.
    """

    name: ClassVar[str] = "relearn_retain_const"

    lr: float = 5e-5

    def corpus(self, context: AttackContext) -> Corpus:
        """Return the suite's retain text."""
        return corpora_of(self.name, context).retain


@ATTACKS.register("relearn_ep", label="relearn_ep{epochs}", budget="epochs", trains_on="forget")
@dataclasses.dataclass(frozen=True, slots=True)
class RelearnEpochs(TrainingAttack):
    """Epochs over a few forget samples; the learning rate falls linearly to 0 after a warm-up of 10 % of the steps.

    Each sample is the first window of a forget text; samples are drawn without replacement.

    Attributes:
        epochs: number of passes over the samples.
        samples: number of forget texts; a smaller forget set is used whole.

    Source: the WMDP relearning of Fan et al. 2025 (40 samples, lr 1e-5, batch 4).
    Departs: padding is masked.
    Cost: epochs·⌈samples / batch_size⌉·(F + B): 10·epochs·(F + B) at the defaults.
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


@ATTACKS.register("relearn_split", label="relearn_split{k}", budget="steps", trains_on="half")
@dataclasses.dataclass(frozen=True, slots=True)
class RelearnSplit(StepsAttack):
    """Relearning as in `relearn`, on half of the forget text: if the other half returns, it was hidden, not removed.

    The clusters of the forget text (a TOFU author, a chapter, or a row where there are no clusters) are shuffled by
    `seed`, and half of them are trained on. On leaves that measure forgetting a document counts only when it can be
    traced to the other half: by its cluster, where that is one of the forget text's, otherwise by its true text
    (continuation, passage or answer), which must occur word for word in held-out text and nowhere in what was trained
    on. The remaining documents are asked but have no score, so that every attack is run on the same documents;
    `documents` in the result counts `shown`, `held_out` and `untraced` ones.

    Text that no model has seen (the other side of a membership test) and leaves that measure utility stay whole. The
    halves depend on the data and the seed alone, so that the controls, target and retrain model, are split alike. A leaf
    none of whose documents can be traced to held-out text is refused (WMDP's questions come from no row of its corpus).
    `privleak` still divides by the AUC that the retrain model has on the whole forget set.

    Attributes:
        k: number of optimizer steps.

    Source: Deeb and Roger 2024, "Do unlearning methods remove information from language model weights?"
    Departs: k steps as `relearn` takes them, where the paper tunes learning rate and epochs.
    Cost: k·(F + B).
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


@ATTACKS.register("relearn_split_const", label="relearn_split_const{k}_x5", budget="steps", trains_on="half")
@dataclasses.dataclass(frozen=True, slots=True)
class RelearnSplitConst(ConstantRate):
    """As `relearn_const_x5`, on the half of the forget text that `relearn_split` trains on, and scored on the other half.

    Attributes:
        k: number of optimizer steps.

    Source: as `relearn_split`.
    Departs: constant learning rate.
    Cost: as `relearn_const`.
    """

    name: ClassVar[str] = "relearn_split_const"
    splits: ClassVar[bool] = True

    lr: float = 5e-5

    def halves(self, forget: Corpus) -> Halves:
        """Split the forget text into the half to train on and the half to measure on.

        Raises:
            DataError: the text is a single piece that cannot be split.
        """
        return halves(forget, self.seed)

    def corpus(self, context: AttackContext) -> Corpus:
        """Return the half of the forget text to train on."""
        return self.halves(corpora_of(self.name, context).forget).shown

    def stages(
        self, model: Any, context: AttackContext, stops: Sequence[int]
    ) -> Generator[tuple[int, Diagnostics], None, None]:
        """Train up to the largest stop, and yield at every stop with the model in its own dtype."""
        report = self.halves(corpora_of(self.name, context).forget).report
        for k, diagnostics in ConstantRate.stages(self, model, context, stops):
            yield k, diagnostics | report
