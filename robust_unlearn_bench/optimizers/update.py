"""Base class of torch optimizers that only hold the state of an update rule for single tensors."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim import Optimizer

from ..models.shards import local

__all__ = ["TensorUpdate", "moment"]


def moment(state: dict[str, Any], name: str, like: Tensor) -> Tensor:
    """Return a state tensor, initially zero, in fp32 whatever the dtype of the parameter."""
    if name not in state:
        state[name] = torch.zeros_like(like, dtype=torch.float32)
    held: Tensor = state[name]
    return held


class TensorUpdate(Optimizer):
    """Torch optimizer that applies `update` to every parameter with a gradient and leaves the others untouched.

    Args:
        parameters: trained parameters.
        lr: learning rate.
    """

    def __init__(self, parameters: Iterable[Parameter], lr: float) -> None:
        super().__init__(parameters, {"lr": lr})

    @abstractmethod
    def update(self, w: Tensor, g: Tensor, state: dict[str, Any], lr: float) -> None:
        """Change one weight tensor in place.

        Args:
            w: weights, any float dtype.
            g: gradient in fp32, which must not be changed.
            state: state of this tensor, changed in place.
            lr: learning rate.
        """

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]  # no closure here
        """Update every parameter that has a gradient."""
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self.update(local(p), local(p.grad).float(), self.state[p], group["lr"])

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load a state as torch does, except that it keeps its own dtype instead of taking that of the parameter."""
        super().load_state_dict(state_dict)
        for group, saved in zip(self.param_groups, state_dict["param_groups"], strict=True):
            for p, number in zip(group["params"], saved["params"], strict=True):
                held = state_dict["state"].get(number, {})
                self.state[p] = {
                    key: value.detach().clone().to(p.device) if isinstance(value, Tensor) else value
                    for key, value in held.items()
                }
