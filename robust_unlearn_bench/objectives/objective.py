"""What the loop asks of an objective: a loss of one batch, the model's outputs and the reference's.

The reference is the model before unlearning. An objective says what it needs of it: nothing, one number per sequence
(computed once, then the reference is dropped), or its outputs (a frozen copy is kept).
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
    """Right-padded sequences, see `training.batching.Batch`."""

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
        """[batch] fp32: log-probabilities of the completions under the reference, where the objective needs them."""
        ...

    @property
    def companion(self) -> BatchLike | None:
        """One more sequence for each, where the objective asked for them (refusals, fine-tuning text)."""
        ...


class View(Protocol):
    """Outputs of a model."""

    def logits(self, batch: BatchLike) -> Tensor:
        """[batch, seq, vocab]."""
        ...

    def hidden(self, batch: BatchLike, layer: int) -> Tensor:
        """[batch, seq, width]: output of decoder layer `layer`, from 0."""
        ...

    def shifted(self, layer: int, by: Tensor) -> View:
        """The model with `by` ([batch, seq, width]) added to the output of decoder layer `layer`, from 0."""
        ...

    def gradient(self, loss: Tensor, point: Tensor) -> Tensor:
        """∂loss/∂point; nothing is added to the gradients of the parameters."""
        ...


class Objective(Protocol):
    """Hyper-parameters of one objective: a frozen dataclass.

    Attributes:
        name: registry name.
        companion: which further sequence stands beside each forget sequence: a refusal to the same prompt, fine-tuning
            text, or none.
        whole_weights: whether the weights must be whole in one process (no FSDP2).
    """

    name: ClassVar[str]
    companion: ClassVar[Companion | None]
    whole_weights: ClassVar[bool]

    @property
    def unit(self) -> Unit:
        """What the loss is a mean over: scored tokens, sequences, or scored tokens of the companions."""
        ...

    @property
    def needs(self) -> Needs:
        """What the loss uses of the reference model."""
        ...

    def with_tokenizer(self, tokenizer: Any) -> Objective:
        """The same objective for a model with this tokenizer."""
        ...

    def means(self, model: View, reference: View | None) -> tuple[Mean, ...]:
        """The loss as a sum of functions of means, which a loop can take over the parts of a batch.

        Args:
            model: what is trained.
            reference: the model before unlearning, or None.
        """
        ...

    def loss(self, batch: BatchLike, model: View, reference: View | None) -> Tensor:
        """Scalar, fp32 or better.

        Args:
            batch: a batch of forget (or retain) data.
            model: what is trained.
            reference: the model before unlearning, without gradient; None unless `needs` is "model".
        """
        ...


class Mean(NamedTuple):
    """A mean over the units of a batch, and what the loss makes of it.

    Attributes:
        of: batch → scalar mean over its units, at the model's current weights.
        unit: what the mean is taken over; the part of a batch counts by how many of these it holds.
        then: function of the mean of the whole batch, or None for the mean itself.
    """

    of: Callable[[BatchLike], Tensor]
    unit: Unit = "token"
    then: Callable[[Tensor], Tensor] | None = None


class ObjectiveDefaults:
    """The members of `Objective` that most objectives leave as they are; a base class for their dataclasses."""

    __slots__ = ()
    companion: ClassVar[Companion | None] = None
    whole_weights: ClassVar[bool] = False

    def with_tokenizer(self, tokenizer: Any) -> Self:
        """The objective itself: it does not depend on the tokenizer."""
        return self

    def means(self: Objective, model: View, reference: View | None) -> tuple[Mean, ...]:
        """The loss itself, as the one mean that it is."""
        return (Mean(lambda batch: self.loss(batch, model, reference), self.unit),)


class OnBase(ObjectiveDefaults):
    """Base class of objectives that modify another objective's loss.

    Attributes:
        base: name of the other objective, which has its default hyper-parameters.
    """

    __slots__ = ()
    base: str

    @property
    def inner(self) -> Objective:
        """The objective that is modified."""
        return OBJECTIVES[self.base]()

    @property
    def needs(self) -> Needs:
        """What the base uses of the reference model."""
        return self.inner.needs

    @property
    def unit(self) -> Unit:
        """What the base's loss is a mean over."""
        return self.inner.unit


OBJECTIVES: Registry[type[Objective]] = Registry(
    "objective",
    "objectives",
    "robust_unlearn_bench.objectives",
    requires=("name", "unit", "needs", "companion", "means", "loss", "with_tokenizer"),
)
"""Forget loss → hyper-parameter class."""

RETAIN_LOSSES: Registry[type[Objective]] = Registry(
    "retain loss",
    "retain_losses",
    "robust_unlearn_bench.objectives",
    requires=("name", "unit", "needs", "companion", "means", "loss", "with_tokenizer"),
)
"""Retain loss → hyper-parameter class."""
