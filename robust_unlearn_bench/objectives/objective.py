"""The interface of an objective: a loss computed from a batch, the model's outputs and those of the reference.

The reference is the model before unlearning. An objective declares what it needs from the reference: nothing, one
number per sequence (computed once, then the reference is dropped), or its outputs (a frozen copy is kept).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Protocol

from torch import Tensor

from ..registry import Registry

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = [
    "OBJECTIVES",
    "RETAIN_LOSSES",
    "BatchLike",
    "Companion",
    "Mean",
    "Needs",
    "Objective",
    "ObjectiveDefaults",
    "OnBase",
    "Unit",
    "View",
]

Unit = Literal["token", "sequence", "companion_token"]
Needs = Literal["nothing", "sequence_logprobs", "model"]
Companion = Literal["refusal", "finetuning"]


class BatchLike(Protocol):
    """Right-padded sequences; see `training.batching.Batch`."""

    @property
    def input_ids(self) -> Tensor:
        """[batch, seq] int64."""
        ...

    @property
    def labels(self) -> Tensor:
        """[batch, seq] int64, unshifted, `IGNORED` where nothing is scored."""
        ...

    @property
    def before(self) -> Tensor | None:
        """[batch] fp32: log-probabilities of the completions under the reference; None if not needed."""
        ...

    @property
    def companion(self) -> BatchLike | None:
        """One companion (refusal or fine-tuning text) for each sequence, or None if the objective uses none."""
        ...


class View(Protocol):
    """Outputs of a model."""

    def logits(self, batch: BatchLike) -> Tensor:
        """Return logits [batch, seq, vocab]."""
        ...

    def hidden(self, batch: BatchLike, layer: int) -> Tensor:
        """Return the output [batch, seq, width] of decoder layer `layer`, from 0."""
        ...

    def shifted(self, layer: int, by: Tensor) -> View:
        """Return the model with `by` ([batch, seq, width]) added to the output of decoder layer `layer`, from 0."""
        ...

    def gradient(self, loss: Tensor, point: Tensor) -> Tensor:
        """Return ∂loss/∂point; nothing is added to the gradients of the parameters."""
        ...


class Objective(Protocol):
    """Hyper-parameters of one objective: a frozen dataclass.

    Attributes:
        name: registry name.
        companion: kind of sequence that accompanies each forget sequence: a refusal to the same prompt, fine-tuning
            text, or None.
        whole_weights: whether the loss needs unsharded weights in one process (no FSDP2).
    """

    name: ClassVar[str]
    companion: ClassVar[Companion | None]
    whole_weights: ClassVar[bool]

    @property
    def unit(self) -> Unit:
        """Unit that the loss averages over: scored tokens, sequences, or scored tokens of the companions."""
        ...

    @property
    def needs(self) -> Needs:
        """Part of the reference model's output that the loss needs."""
        ...

    def with_tokenizer(self, tokenizer: Any) -> Objective:
        """Return the objective adapted to a model with this tokenizer."""
        ...

    def means(self, model: View, reference: View | None) -> tuple[Mean, ...]:
        """Return the loss as a sum of functions of means; a loop can accumulate each mean over the parts of a batch.

        Args:
            model: model being trained.
            reference: model before unlearning, or None.
        """
        ...

    def loss(self, batch: BatchLike, model: View, reference: View | None) -> Tensor:
        """Compute the loss of a batch, a scalar in fp32 or wider.

        Args:
            batch: batch of forget (or retain) data.
            model: model being trained.
            reference: model before unlearning, without gradient; None unless `needs` is "model".
        """
        ...


class Mean(NamedTuple):
    """A mean over the units of a batch, and the function that turns it into a term of the loss.

    Attributes:
        of: function from a batch to the scalar mean over its units, at the model's current weights.
        unit: unit of the mean; a part of a batch is weighted by the number of units in it.
        then: function applied to the mean over the whole batch; None for the identity.
    """

    of: Callable[[BatchLike], Tensor]
    unit: Unit = "token"
    then: Callable[[Tensor], Tensor] | None = None


class ObjectiveDefaults:
    """Base class for objectives, with the members of `Objective` that most of them do not override."""

    __slots__ = ()
    companion: ClassVar[Companion | None] = None
    whole_weights: ClassVar[bool] = False

    def with_tokenizer(self, tokenizer: Any) -> Self:
        """Return the objective itself, which does not depend on the tokenizer."""
        return self

    def means(self: Objective, model: View, reference: View | None) -> tuple[Mean, ...]:
        """Return the loss as a single mean."""
        return (Mean(lambda batch: self.loss(batch, model, reference), self.unit),)


class OnBase(ObjectiveDefaults):
    """Base class of objectives that modify another objective's loss.

    Attributes:
        base: name of the other objective, which keeps its default hyper-parameters.
    """

    __slots__ = ()
    base: str

    @property
    def inner(self) -> Objective:
        """The objective being modified."""
        return OBJECTIVES[self.base]()

    @property
    def needs(self) -> Needs:
        """Part of the reference model's output that the base loss needs."""
        return self.inner.needs

    @property
    def unit(self) -> Unit:
        """Unit that the base loss averages over."""
        return self.inner.unit


OBJECTIVES: Registry[type[Objective]] = Registry(
    "objective",
    "objectives",
    "robust_unlearn_bench.objectives",
    requires=("name", "unit", "needs", "companion", "means", "loss", "with_tokenizer"),
)
"""Name of a forget loss → its hyper-parameter class."""

RETAIN_LOSSES: Registry[type[Objective]] = Registry(
    "retain loss",
    "retain_losses",
    "robust_unlearn_bench.objectives",
    requires=("name", "unit", "needs", "companion", "means", "loss", "with_tokenizer"),
)
"""Name of a retain loss → its hyper-parameter class."""
