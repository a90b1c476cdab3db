"""Plain training on one set of examples, for nano models, relearning attacks and `rub finetune`."""

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
from .footprint import Run, sizes
from .loop import Step, StepClosures, Term, train
from .model_view import ModelView, without_dropout
from .placement import Placement, fit, free_memory, weights_for
from .precision import trainable
from .precision_names import Precision
from .schedule import Schedule

__all__ = ["FinetuneConfig", "FinetuneReport", "Finetuning", "context_length", "finetune"]


@dataclass(frozen=True, slots=True)
class FinetuneConfig:
    """Configuration of a training run; give either `steps` or `epochs`.

    Attributes:
        steps: number of optimizer steps.
        epochs: number of passes over the sequences, rounded up to whole steps.
        lr: peak learning rate.
        batch_size: sequences per step; the last step of an epoch may have fewer.
        schedule: schedule of the learning rate.
        warmup: fraction of the steps in which the learning rate rises to its peak.
        optimizer: registered name of an optimizer with a single learning rate.
        clip: largest gradient norm, or None for no clipping.
        precision: precision of weights and arithmetic.
        window: longest sequence in tokens, limited by the model's context length.
        seed: seed of the data order and of the optimizer's random draws.
        micro_batch: largest number of sequences in one pass in any case; does not change the step.
        gradient_checkpointing: recompute activations in any case; otherwise only where memory is short.
        pool: number of batches in a length-sorted pool; 1 for purely random batches. Use 1 if texts repeat in the data
            set: copies of a text have the same length and would end up in one batch.
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
    """Summary of a training run.

    Attributes:
        steps: optimizer steps taken.
        examples: sequences seen, with repetition.
        tokens: scored tokens seen, with repetition.
        sequences: size of the data set in sequences.
        truncated: tokens of the data set that did not fit into the window.
        loss_first: loss on the batch of the first step, before that step.
        loss_last: mean loss on the batches of the last tenth of the steps, each before its step.
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
    """A training run that can be inspected between steps.

        with Finetuning(model, sequences, config) as run:
            for step in run:
                ...

    Outside the `with` block the model has its own dtype and mode; inside, evaluate it under `run.weights.as_stored()`.

    Raises:
        ModelError: the model cannot be trained (quantised, NaN weights).
        DataError: there is nothing to train on.
        ConfigError: the optimizer has no single learning rate.

    Attributes:
        weights: context of the weights in the precision of the run.
        placement: where weights, gradients and states are; chosen from the free memory unless it is given.
    """

    def __init__(
        self,
        model: nn.Module,
        sequences: Sequence[Encoded],
        config: FinetuneConfig,
        placement: Placement | None = None,
        what: str = "training",
    ) -> None:
        self.model = model
        self.config = config
        self.sequences = sequences
        self.optimizer = configure(config.optimizer, {"lr": config.lr})
        self.parameters = trainable(model)
        self.placement = placement or self._fit(what)
        self.weights = weights_for(self.placement, model, self.parameters, config.precision)
        self.batches = Batches(self.sequences, config.batch_size, config.seed, self.weights.device, pool=config.pool)
        self.steps = config.steps or math.ceil(cast(float, config.epochs) * self.batches.per_epoch)
        self._taken: list[Step] = []
        self._seconds = 0.0
        self._open = ExitStack()

    def __enter__(self) -> Finetuning:
        with ExitStack() as stack:
            stack.enter_context(self.weights)
            stack.enter_context(without_dropout(self.model))
            if self.placement.recompute:
                stack.enter_context(recomputing(self.model))
            self._open = stack.pop_all()
        return self

    def __exit__(self, *raised: Any) -> None:
        self._open.__exit__(*raised)

    def __iter__(self) -> Iterator[Step]:
        """Train, one step at a time."""
        config = self.config
        rule = self.optimizer.build(self.weights.masters, clip=config.clip, seed=config.seed)
        self.weights.around(rule.updates)
        view = ModelView(self.model, self.weights.compute)

        def cross_entropy(part: BatchLike) -> Tensor:
            return -mean_scored(token_logprobs(view.logits(part), part.labels), part.labels)

        closures = StepClosures(
            view, Term((Mean(cross_entropy),), self.batches), micro_batch=self.placement.micro_batch
        )
        begun = time.perf_counter()
        for step in train(rule, closures, steps=self.steps, schedule=config.schedule, warmup=config.warmup):
            self._taken.append(step)
            self._seconds += time.perf_counter() - begun
            yield step
            begun = time.perf_counter()

    def _fit(self, what: str) -> Placement:
        """Choose the placement from the free memory and the longest sequence."""
        config = self.config
        width = max((len(s.ids) for s in self.sequences), default=1)
        batch = min(config.batch_size, max(1, len(self.sequences)))
        run = Run(
            config.precision,
            self.optimizer.facts,
            batch,
            width,
            recompute=config.gradient_checkpointing,
            micro_batch=config.micro_batch,
        )
        return fit(what, sizes(self.model), run, free_memory(self.model))

    def report(self) -> FinetuneReport:
        """Summarise the run so far."""
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

    The loss is the mean of −log p over the scored tokens of a batch, in fp32. The model keeps its own dtype;
    `config.precision` applies during training only.

    Args:
        model: Hugging Face causal language model on a single device; parameters without `requires_grad` are unchanged.
        tokenizer: tokenizer of the model.
        examples: training examples; `encoding.encode` defines which tokens are scored.
        config: configuration of the run.
        progress: called with (steps done, total steps, description of the loss) after every step.
        on_step: called after every step, while the weights are in training precision.

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
    """Return the model's context length in tokens, or 2048 if its configuration does not give one."""
    config = getattr(model, "config", None)
    text = getattr(config, "get_text_config", lambda: config)()
    for name in ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length"):
        if isinstance(length := getattr(text, name, None), int):
            return length
    return 2048


@contextmanager
def recomputing(model: Any) -> Iterator[None]:
    """Enable gradient checkpointing within the block."""
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    try:
        yield
    finally:
        model.gradient_checkpointing_disable()
