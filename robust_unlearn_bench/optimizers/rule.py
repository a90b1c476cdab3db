"""A rule is a gradient estimate and the update that it feeds; the loop knows nothing else about an optimizer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, cast

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim import Optimizer

from ..models.shards import local

__all__ = ["Backward", "Closures", "Estimate", "GradientRule", "Parameters", "Rule", "total_norm"]

Parameters = Mapping[str, Parameter]
"""What is trained, by name; a tied tensor appears once."""


class Closures(Protocol):
    """The two losses of one step, at the current weights; each is weighted, in fp32, and the same on every device."""

    def forget(self, backward: bool) -> float:
        """Forget loss on the step's batch; with `backward` its gradient is added to `.grad`."""
        ...

    def retain(self, backward: bool) -> float:
        """Retain loss on the step's batch (0 when the run has none)."""
        ...

    def relearn(self, backward: bool) -> float:
        """Cross-entropy of the step's forget text: what a relearning attack lowers."""
        ...

    def sampled(self, backward: bool, seed: int) -> tuple[float, int]:
        """Cross-entropy on labels drawn from the model itself, over both batches, and the number of labels."""
        ...


class Rule(Protocol):
    """What the loop asks of an optimizer of any grade."""

    @property
    def updates(self) -> tuple[Optimizer, ...]:
        """The torch optimizers inside, for whoever must act around an update."""
        ...

    def step(self, closures: Closures) -> float:
        """Change the weights once; returns (an estimate of) the gradient's norm before clipping."""
        ...

    def schedule(self, factor: float) -> None:
        """Set every learning rate to `factor` times its peak."""
        ...

    def may_stop_after(self, step: int) -> bool:
        """Whether the weights after `step` steps (from 1) are a model of this rule."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next step depends on, besides weights and data."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take `state_dict`'s answer back."""
        ...


class Estimate(Protocol):
    """How the gradient is estimated: it lies in `.grad` afterwards, unclipped."""

    def __call__(self, closures: Closures, parameters: Parameters, step: int) -> Tensor:
        """Fill `.grad`; parameters without a gradient keep None.

        Args:
            closures: the losses.
            parameters: what is trained; weights are as before when this returns, bit for bit.
            step: number of the step, from 0; random draws are a function of it.

        Returns:
            (An estimate of) the gradient's norm, a scalar.
        """
        ...


def total_norm(parameters: Parameters) -> Tensor:
    """Euclidean norm of all gradients together, fp32 scalar."""
    grads = [p.grad for p in parameters.values() if p.grad is not None]
    norm = torch.nn.utils.get_total_norm(grads) if grads else torch.zeros(())
    full = getattr(norm, "full_tensor", None)
    return cast(Tensor, full() if full is not None else norm).float()


class Backward:
    """The first-order estimate: the gradient of forget + retain loss by backpropagation."""

    def __call__(self, closures: Closures, parameters: Parameters, step: int) -> Tensor:
        """Backpropagate both losses."""
        for p in parameters.values():
            p.grad = None
        closures.forget(backward=True)
        closures.retain(backward=True)
        return total_norm(parameters)


class GradientRule:
    """Estimate, clip, update.

    Clipping is the same for all grades: the estimate is scaled so that the gradient's norm, as far as the estimate
    knows it (backpropagation: exactly; a zeroth-order estimate: |c|, whose mean square is the norm's square), is at
    most `clip`.

    Args:
        parameters: what is trained.
        estimate: fills `.grad`.
        updates: torch optimizers over disjoint parts of the parameters.
        clip: largest norm, or None.
    """

    def __init__(self, parameters: Parameters, estimate: Estimate, *updates: Optimizer, clip: float | None) -> None:
        self.parameters = parameters
        self.estimate = estimate
        self.updates = updates
        self.clip = clip
        self.taken = 0
        for update in updates:
            for group in update.param_groups:
                group.setdefault("initial_lr", group["lr"])

    def step(self, closures: Closures) -> float:
        """Change the weights once."""
        norm = self.estimate(closures, self.parameters, self.taken)
        if self.clip is not None and float(norm) > self.clip:
            for p in self.parameters.values():
                if p.grad is not None:
                    local(p.grad).mul_(self.clip / float(norm))
        for update in self.updates:
            update.step()
        self.taken += 1
        return float(norm)

    def schedule(self, factor: float) -> None:
        """Set every learning rate to `factor` times its peak."""
        for update in self.updates:
            for group in update.param_groups:
                group["lr"] = group["initial_lr"] * factor

    def may_stop_after(self, step: int) -> bool:
        """Every step is as good as any other."""
        return True

    def state_dict(self) -> dict[str, Any]:
        """Steps taken, and the state of every update and of the estimate."""
        estimate: dict[str, Any] = getattr(self.estimate, "state_dict", dict)()
        return {"taken": self.taken, "updates": [u.state_dict() for u in self.updates], "estimate": estimate}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take `state_dict`'s answer back."""
        self.taken = state["taken"]
        for update, saved in zip(self.updates, state["updates"], strict=True):
            update.load_state_dict(saved)
        if state["estimate"]:
            cast(Any, self.estimate).load_state_dict(state["estimate"])
