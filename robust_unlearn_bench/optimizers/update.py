"""An update that is one function of one tensor, as a torch optimizer: it only holds the state."""

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
    """A state tensor, zeros at first, in fp32 whatever the parameter's dtype."""
    if name not in state:
        state[name] = torch.zeros_like(like, dtype=torch.float32)
    held: Tensor = state[name]
    return held


class TensorUpdate(Optimizer):
    """Applies `update` to every parameter that has a gradient; the others stay as they are, state included.

    Args:
        parameters: what is trained.
        lr: learning rate.
    """

    def __init__(self, parameters: Iterable[Parameter], lr: float) -> None:
        super().__init__(parameters, {"lr": lr})

    @abstractmethod
    def update(self, w: Tensor, g: Tensor, state: dict[str, Any], lr: float) -> None:
        """Change one weight tensor in place.

        Args:
            w: weights, any float dtype.
            g: their gradient in fp32, not to be changed.
            state: what this tensor's next update depends on.
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
        """As torch's, but a state keeps its own dtype instead of taking the parameter's."""
        super().load_state_dict(state_dict)
        for group, saved in zip(self.param_groups, state_dict["param_groups"], strict=True):
            for p, number in zip(group["params"], saved["params"], strict=True):
                held = state_dict["state"].get(number, {})
                self.state[p] = {
                    key: value.detach().clone().to(p.device) if isinstance(value, Tensor) else value
                    for key, value in held.items()
                }
