"""Plain training on one set of examples: nano models, relearning attacks, `rub finetune`."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, cast

from torch import Tensor, nn

from ..errors import ConfigError
from ..objectives.masking import mean_scored, token_logprobs
from ..objectives.objective import BatchLike, Mean
from ..optimizers import configure
from ..suites.corpus import Example
from .batching import POOL, Batches
from .encoding import Encoded, encode
from .loop import Step, StepClosures, Term, train
from .model_view import ModelView, without_dropout
from .precision import Weights, trainable
from .precision_names import Precision
from .schedule import Schedule

__all__ = ["FinetuneConfig", "FinetuneReport", "Finetuning", "context_length", "finetune"]


@dataclass(frozen=True, slots=True)
class FinetuneConfig:
    """How to train; give either `steps` or `epochs`.

    Attributes:
        steps: optimizer steps.
        epochs: passes over the sequences, rounded up to whole steps.
        lr: peak learning rate.
        batch_size: sequences per step; the last step of an epoch may have fewer.
        schedule: of the learning rate.
        warmup: fraction of the steps.
        optimizer: registered name of one with a single learning rate.
        clip: largest gradient norm, or None.
        precision: of weights and arithmetic.
        window: longest sequence in tokens; the model's own context, if shorter, wins.
        seed: of the data order and of whatever the optimizer draws.
        micro_batch: largest number of sequences in one pass, to save memory; does not change the step.
        gradient_checkpointing: recompute activations instead of storing them.
        pool: batches in a length-sorted pool; 1 for purely random batches, which texts that repeat in a data set need:
            copies of one text have one length, and would meet in one batch.
    """

    steps: int | None = None
    epochs: float | None = None
    lr: float = 1e-5
    batch_size: int = 4
    schedule: Schedule = "constant"
    warmup: float = 0.0
    optimizer: str = "adam"
    clip: float | None = 1.0
    precision: Precision = "bf16_autocast"
    window: int = 2048
    seed: int = 0
    micro_batch: int | None = None
    gradient_checkpointing: bool = False
    pool: int = POOL

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.epochs is None):
            raise ConfigError(f"steps is {self.steps} and epochs is {self.epochs}: give exactly one of them")
        for field in ("steps", "epochs", "lr", "batch_size", "clip", "window", "micro_batch", "pool"):
            value = getattr(self, field)
            if value is not None and not value > 0:
                raise ConfigError(f"{field} is {value}: give a number above 0")


@dataclass(frozen=True, slots=True)
class FinetuneReport:
    """What was done.

    Attributes:
        steps: optimizer steps taken.
        examples: sequences seen, with repetition.
        tokens: scored tokens seen, with repetition.
        sequences: size of the data set in sequences.
        truncated: tokens of the data set that found no room in the window.
        loss_first: loss of the first step's batch, before the step.
        loss_last: mean loss of the last tenth of the steps' batches, each before its step.
        seconds: wall time.
    """

    steps: int
    examples: int
    tokens: int
    sequences: int
    truncated: int
    loss_first: float
    loss_last: float
    seconds: float


class Finetuning:
    """A training run that can be looked at between steps.

        with Finetuning(model, sequences, config) as run:
            for step in run:
                ...

    Outside the `with` block the model is in its own dtype and mode; inside use `run.weights.as_stored()` to evaluate.

    Raises:
        ModelError: the model cannot be trained (quantised, NaN weights).
        DataError: there is nothing to train on.
        ConfigError: the optimizer has no single learning rate.
    """

    def __init__(self, model: nn.Module, sequences: Sequence[Encoded], config: FinetuneConfig) -> None:
        self.model = model
        self.config = config
        self.sequences = sequences
        self.parameters = trainable(model)
        self.weights = Weights(model, self.parameters, config.precision)
        self.batches = Batches(self.sequences, config.batch_size, config.seed, self.weights.device, pool=config.pool)
        self.steps = config.steps or math.ceil(cast(float, config.epochs) * self.batches.per_epoch)
        self._taken: list[Step] = []
        self._seconds = 0.0
        self._open = ExitStack()

    def __enter__(self) -> Finetuning:
        with ExitStack() as stack:
            stack.enter_context(self.weights)
            stack.enter_context(without_dropout(self.model))
            if self.config.gradient_checkpointing:
                stack.enter_context(recomputing(self.model))
            self._open = stack.pop_all()
        return self

    def __exit__(self, *raised: Any) -> None:
        self._open.__exit__(*raised)

    def __iter__(self) -> Iterator[Step]:
        """Train, one step at a time."""
        config = self.config
        optimizer = configure(config.optimizer, {"lr": config.lr})
        rule = optimizer.build(self.parameters, clip=config.clip, seed=config.seed)
        self.weights.around(rule.updates)
        view = ModelView(self.model, self.weights.compute)

        def cross_entropy(part: BatchLike) -> Tensor:
            return -mean_scored(token_logprobs(view.logits(part), part.labels), part.labels)

        closures = StepClosures(view, Term((Mean(cross_entropy),), self.batches), micro_batch=config.micro_batch)
        begun = time.perf_counter()
        for step in train(rule, closures, steps=self.steps, schedule=config.schedule, warmup=config.warmup):
            self._taken.append(step)
            self._seconds += time.perf_counter() - begun
            yield step
            begun = time.perf_counter()

    def report(self) -> FinetuneReport:
        """What was done so far."""
        losses = [step.forget for step in self._taken]
        last = losses[-max(1, len(losses) // 10) :]
        seen = [self.sequences[i] for t in range(len(losses)) for i in self.batches.indices(t)]
        return FinetuneReport(
            steps=len(losses),
            examples=len(seen),
            tokens=sum(len(s.ids) - s.start for s in seen),
            sequences=len(self.sequences),
            truncated=sum(s.cut for s in self.sequences),
            loss_first=losses[0],
            loss_last=sum(last) / len(last),
            seconds=self._seconds,
        )


def finetune(
    model: nn.Module,
    tokenizer: Any,
    examples: Sequence[Example],
    config: FinetuneConfig,
    *,
    progress: Callable[[int, int, str], None] = lambda done, total, what: None,
    on_step: Callable[[Step], None] = lambda step: None,
) -> FinetuneReport:
    """Train a model in place with cross-entropy on the completions of the examples.

    Loss: mean of −log p over the scored tokens of a batch, in fp32. The model keeps its own dtype: what it is trained
    in is internal and given by `config.precision`.

    Args:
        model: a Hugging Face causal language model, on any one device; parameters without `requires_grad` stay.
        tokenizer: its tokenizer.
        examples: see `encoding.encode` for what is scored.
        config: how to train.
        progress: called with (steps done, steps in all, loss in words) after every step.
        on_step: called after every step, with the weights in the precision of training.

    Raises:
        ModelError: the model cannot be trained (quantised, NaN weights).
        DataError: there is nothing to train on.
        TrainingError: a loss or gradient is not finite.
    """
    sequences = encode(examples, tokenizer, min(config.window, context_length(model)))
    with Finetuning(model, sequences, config) as run:
        for step in run:
            progress(step.number, run.steps, f"loss {step.forget:.3f}")
            on_step(step)
    return run.report()


def context_length(model: nn.Module) -> int:
    """The model's context in tokens; 2048 when its configuration does not say."""
    config = getattr(model, "config", None)
    text = getattr(config, "get_text_config", lambda: config)()
    for name in ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length"):
        if isinstance(length := getattr(text, name, None), int):
            return length
    return 2048


@contextmanager
def recomputing(model: Any) -> Iterator[None]:
    """Gradient checkpointing on, then off again."""
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    try:
        yield
    finally:
        model.gradient_checkpointing_disable()
