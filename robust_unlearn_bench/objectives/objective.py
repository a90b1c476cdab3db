"""What the loop asks of an objective: a loss of one batch, the model's outputs and the reference's.

The reference is the model before unlearning. An objective says what it needs of it: nothing, one number per sequence
(computed once, then the reference is dropped), or its outputs (a frozen copy is kept).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Literal, NamedTuple, Protocol, runtime_checkable

from torch import Tensor

from ..registry import Registry

__all__ = [
    "OBJECTIVES",
    "RETAIN_LOSSES",
    "BatchLike",
    "Mean",
    "Needs",
    "Objective",
    "OnBase",
    "SumOfMeans",
    "Unit",
    "View",
    "means",
]

Unit = Literal["token", "sequence", "companion_token"]
Needs = Literal["nothing", "sequence_logprobs", "model"]


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
        unit: what the loss is a mean over: scored tokens, sequences, or scored tokens of the companions.
        needs: what of the reference it uses.
        companion: which further sequence it wants beside each: a refusal to the same prompt, fine-tuning text, or none.
    """

    name: ClassVar[str]
    unit: Unit
    needs: Needs
    companion: ClassVar[Literal["refusal", "finetuning"] | None]

    def loss(self, batch: BatchLike, model: View, reference: View | None) -> Tensor:
        """Scalar, fp32 or better.

        Args:
            batch: of the forget (or retain) data.
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


@runtime_checkable
class SumOfMeans(Protocol):
    """An objective whose loss is not one mean over one unit."""

    def means(self, model: View, reference: View | None) -> tuple[Mean, ...]:
        """The means whose functions add up to the loss."""
        ...


def means(objective: Objective, model: View, reference: View | None) -> tuple[Mean, ...]:
    """An objective's loss as a sum of functions of means, which a loop can take over the parts of a batch.

    Args:
        objective: any.
        model: what is trained.
        reference: the model before unlearning, or None.
    """
    if isinstance(objective, SumOfMeans):
        return objective.means(model, reference)
    return (Mean(lambda batch: objective.loss(batch, model, reference), objective.unit),)


_HERE = "robust_unlearn_bench.objectives"


class OnBase:
    """What an objective that changes another's loss has of it.

    Attributes:
        base: name of the other, which has its default hyper-parameters.
    """

    __slots__ = ()
    base: str

    @property
    def inner(self) -> Objective:
        """The objective that is changed."""
        return OBJECTIVES[self.base]()

    @property
    def needs(self) -> Needs:
        """What the base needs."""
        return self.inner.needs

    @property
    def unit(self) -> Unit:
        """What the base is a mean over."""
        return self.inner.unit


OBJECTIVES: Registry[Callable[..., Objective]] = Registry(
    "objective",
    lazy={
        "grad_ascent": f"{_HERE}.grad_ascent:GradAscent",
        "grad_diff": f"{_HERE}.grad_ascent:GradDiff",
        "npo": f"{_HERE}.npo:NPO",
        "simnpo": f"{_HERE}.simnpo:SimNPO",
        "rmu": f"{_HERE}.rmu:RMU",
        "dpo": f"{_HERE}.dpo:DPO",
        "idk": f"{_HERE}.idk:IDK",
        "undial": f"{_HERE}.undial:UNDIAL",
        "jensun": f"{_HERE}.jensun:JensUn",
        "ilu": f"{_HERE}.ilu:ILU",
        "lat": f"{_HERE}.lat:LAT",
    },
)
"""Forget loss → hyper-parameter class."""

RETAIN_LOSSES: Registry[Callable[..., Objective]] = Registry(
    "retain loss",
    lazy={
        "nll": f"{_HERE}.retain:NLL",
        "kl": f"{_HERE}.retain:KL",
        "jsd": f"{_HERE}.retain:JSD",
        "activation": f"{_HERE}.retain:Activation",
    },
)
"""Retain loss → hyper-parameter class."""
