"""Base classes of the training attacks: hyper-parameters, the run, and the measurements before and after it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from ...errors import ConfigError, DataError
from ...suites.corpus import Corpora, Corpus
from ...training.precision_names import Precision, refuse_unknown_precision
from ...training.schedule import Schedule
from ..attack import NAME_A_SUITE, AttackContext, AttackDefaults, Diagnostics

if TYPE_CHECKING:
    from ...training.encoding import Encoded

__all__ = ["ConstantRate", "StepsAttack", "TrainingAttack", "corpora_of"]

PROBES = 32
"""Largest number of training sequences on which the loss is measured before and after the attack."""


@dataclasses.dataclass(frozen=True, slots=True)
class TrainingAttack(AttackDefaults):
    """Base class of training attacks: hyper-parameters and the training run.

    The optimizer is AdamW without weight decay; gradients are clipped to norm 1.0, and dropout is off.

    Attributes:
        lr: peak learning rate.
        batch_size: number of sequences in a step.
        window: longest sequence in tokens, at most the model's own context.
        precision: precision of weights and arithmetic during training (`bf16_autocast`: fp32 weights, bf16 products);
            afterwards the model has its own dtype again.
        seed: seed of the data order and of every draw.
        optimizer: `adam`; `adam8bit` with 8-bit states, which take 6 bytes per parameter less; or `muon`.
        gradient_checkpointing: whether activations are computed again in any case; otherwise only where memory is short.
        micro_batch: largest number of sequences in one pass in any case; null for as many as memory holds.
    """

    trains: ClassVar[bool] = True
    name: ClassVar[str] = ""
    clip: ClassVar[float] = 1.0

    lr: float = 1e-5
    batch_size: int = 4
    window: int = 2048
    precision: Precision = "bf16_autocast"
    seed: int = 0
    optimizer: Literal["adam", "adam8bit", "muon"] = "adam"
    gradient_checkpointing: bool = False
    micro_batch: int | None = None

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name != "seed" and type(value) in (int, float) and not value > 0:
                raise ConfigError(f"attack {self.name} has {field.name}={value}: give a number above 0")
        if self.window < 2:
            raise ConfigError(f"attack {self.name} has window={self.window}: give at least 2 tokens")
        if self.optimizer not in ("adam", "adam8bit", "muon"):
            raise ConfigError(f"attack {self.name} has optimizer={self.optimizer!r}: choose adam, adam8bit or muon")
        refuse_unknown_precision(self.precision, f"attack {self.name}")

    def corpus(self, context: AttackContext) -> Corpus:
        """Return the text to train on, which is the suite's forget text.

        Raises:
            DataError: the task belongs to no suite, or the text is empty.
        """
        return corpora_of(self.name, context).forget

    def encoded(self, context: AttackContext, corpus: Corpus) -> list[Encoded]:
        """Encode a corpus as training sequences."""
        from ...training.encoding import encode

        return encode(corpus.examples, context.tokenizer, min(self.window, context.window))

    def stations(
        self,
        model: Any,
        context: AttackContext,
        sequences: Sequence[Encoded],
        *,
        at: Sequence[int] = (),
        epochs: float | None = None,
        schedule: Schedule,
        warmup: float = 0.0,
        deployed: Callable[[], AbstractContextManager[Any]] = nullcontext,
    ) -> Generator[tuple[int, Diagnostics], None, None]:
        """Train, and yield at the given steps with the model in the state to be saved.

        Args:
            model: model to train in place.
            context: provides the progress callback and the probe text.
            sequences: training data.
            at: step counts to stop at, in increasing order; the last is the length of the schedule.
            epochs: number of passes over the data, given instead of `at`; the only station is then at their end.
            schedule: learning-rate schedule.
            warmup: fraction of the steps spent on warm-up.
            deployed: context in which the model has the form to be saved, entered at every station.

        Yields:
            Number of steps taken, and diagnostics.
        """
        from ...training.finetune import FinetuneConfig, Finetuning
        from ...training.likelihood import mean_loss
        from ..calibration import probe
        from ..perplexity import perplexity

        config = FinetuneConfig(
            steps=at[-1] if at else None,
            epochs=epochs,
            schedule=schedule,
            warmup=warmup,
            clip=self.clip,
            **{field.name: getattr(self, field.name) for field in dataclasses.fields(TrainingAttack)},
        )
        windows = probe(context)
        probes = sequences[:: -(-len(sequences) // PROBES)]
        loss = mean_loss(model, probes)
        retained = perplexity(model, windows)
        with Finetuning(model, sequences, config, what=f"attack {self.name}") as run:
            stops = set(at or (run.steps,))
            for step in run:
                context.progress(step.number, run.steps, f"{self.name}, loss {step.forget:.3f}, step")
                if step.number not in stops:
                    continue
                with run.weights.as_stored(), deployed():
                    after = mean_loss(model, probes)
                    yield (
                        step.number,
                        {
                            **dataclasses.asdict(run.report()),
                            "schedule": schedule,
                            "precision": self.precision,
                            "placement": dataclasses.asdict(run.placement),
                            "loss_before": loss,
                            "loss_after": after,
                            "retain_perplexity_before": retained,
                            "retain_perplexity_after": perplexity(model, windows),
                            "flags": [] if after < loss else ["relearn_loss_did_not_fall"],
                        },
                    )


@dataclasses.dataclass(frozen=True, slots=True)
class StepsAttack(TrainingAttack):
    """Training attack that takes a given number of steps on one text.

    Attributes:
        k: optimizer steps.
    """

    schedule: ClassVar[Schedule] = "cosine"

    k: int = 50

    def apply(self, model: Any, context: AttackContext) -> Diagnostics:
        """Train on the attack's text."""
        sequences = self.encoded(context, self.corpus(context))
        ((_, diagnostics),) = self.stations(model, context, sequences, at=[self.k], schedule=self.schedule)
        return diagnostics


@dataclasses.dataclass(frozen=True, slots=True)
class ConstantRate(StepsAttack):
    """Training attack at a constant learning rate, so that every k is a station of one trajectory.

    Attributes:
        k: number of optimizer steps.
    """

    schedule: ClassVar[Schedule] = "constant"

    @property
    def trajectory(self) -> tuple[Any, ...]:
        """Name and every parameter except k."""
        return (self.name, *dataclasses.astuple(dataclasses.replace(self, k=1)))

    def apply(self, model: Any, context: AttackContext) -> Diagnostics:
        """Train up to step k."""
        ((_, diagnostics),) = self.stages(model, context, [self.k])
        return diagnostics

    def stages(
        self, model: Any, context: AttackContext, stops: Sequence[int]
    ) -> Generator[tuple[int, Diagnostics], None, None]:
        """Train up to the largest stop, and yield at every stop with the model in its own dtype."""
        yield from self.stations(
            model, context, self.encoded(context, self.corpus(context)), at=sorted(set(stops)), schedule=self.schedule
        )


def corpora_of(attack: str, context: AttackContext) -> Corpora:
    """Return the suite's forget and retain text.

    Raises:
        DataError: the task belongs to no suite, or the suite's forget or retain text is empty.
    """
    if context.corpora is None:
        raise DataError(
            f"attack {attack} trains on a suite's forget or retain text, but this task belongs to no suite: "
            f"{NAME_A_SUITE}"
        )
    for corpus in (context.corpora.forget, context.corpora.retain):
        if not corpus.examples:
            raise DataError(f"corpus {corpus.name} is empty, so attack {attack} has nothing to train on")
    return context.corpora
