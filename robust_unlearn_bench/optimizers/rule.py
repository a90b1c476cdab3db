"""Update rules: a gradient estimate and the update that it feeds. The loop knows nothing else about an optimizer."""

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
"""Trained parameters by name; a tied tensor appears once."""


class Closures(Protocol):
    """Losses of one step at the current weights: weighted, in fp32, and the same on every device."""

    def forget(self, backward: bool) -> float:
        """Return the forget loss on the step's batch; with `backward`, add its gradient to `.grad`."""
        ...

    def retain(self, backward: bool) -> float:
        """Return the retain loss on the step's batch (0 if the run has none)."""
        ...

    def relearn(self, backward: bool) -> float:
        """Return the cross-entropy of the step's forget text, which a relearning attack minimises."""
        ...

    def sampled(self, backward: bool, seed: int) -> tuple[float, int]:
        """Return the cross-entropy on labels drawn from the model, over both batches, and the number of labels."""
        ...


class Rule(Protocol):
    """Interface between the training loop and an optimizer of any grade."""

    @property
    def updates(self) -> tuple[Optimizer, ...]:
        """Torch optimizers of the rule, for callers that hook into their updates."""
        ...

    def step(self, closures: Closures) -> float:
        """Update the weights once and return (an estimate of) the gradient norm before clipping."""
        ...

    def schedule(self, factor: float) -> None:
        """Set every learning rate to `factor` times its peak."""
        ...

    def may_stop_after(self, step: int) -> bool:
        """Return whether training may stop after `step` steps (from 1)."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Return everything that the next step depends on, besides weights and data."""
        ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore a state that `state_dict` returned."""
        ...


class Estimate(Protocol):
    """Estimate of the gradient, written to `.grad` unclipped."""

    def __call__(self, closures: Closures, parameters: Parameters, step: int) -> Tensor:
        """Write the estimate to `.grad`, which stays None for parameters without a gradient.

        Args:
            closures: losses of the step.
            parameters: trained parameters; on return their weights are unchanged, bit for bit.
            step: number of the step, from 0; random draws are a function of it.

        Returns:
            (An estimate of) the gradient's norm, a scalar.
        """
        ...


def total_norm(parameters: Parameters) -> Tensor:
    """Return the Euclidean norm of all gradients together, as an fp32 scalar."""
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
    """Rule that estimates the gradient, clips the estimate and updates the weights.

    Clipping is the same for all grades: the estimate is scaled so that the gradient norm is at most `clip`.
    Backpropagation knows this norm exactly; a zeroth-order estimate uses |c| instead, because the expectation of c² is
    the squared norm.

    Args:
        parameters: trained parameters by name.
        estimate: gradient estimate, which fills `.grad`.
        updates: torch optimizers over disjoint parts of the parameters.
        clip: largest gradient norm, or None for no clipping.
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
        """Update the weights once and return the norm of the estimate before clipping."""
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
        """Return True: training may stop after any step."""
        return True

    def state_dict(self) -> dict[str, Any]:
        """Return the number of steps taken and the states of all updates and of the estimate."""
        estimate: dict[str, Any] = getattr(self.estimate, "state_dict", dict)()
        return {"taken": self.taken, "updates": [u.state_dict() for u in self.updates], "estimate": estimate}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore a state that `state_dict` returned."""
        self.taken = state["taken"]
        for update, saved in zip(self.updates, state["updates"], strict=True):
            update.load_state_dict(saved)
        if state["estimate"]:
            cast(Any, self.estimate).load_state_dict(state["estimate"])
