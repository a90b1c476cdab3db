"""Adam with 8-bit block-wise states, from bitsandbytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn import Parameter
from torch.optim import Optimizer

from ..errors import MissingExtraError
from ..models.shards import is_sharded, local
from .checks import fraction, positive
from .grade import Facts
from .optimizer import OPTIMIZERS
from .rule import Backward, GradientRule, Parameters, Rule

__all__ = ["Adam8bit"]


@OPTIMIZERS.register("adam8bit", grade="compressed")
@dataclass(frozen=True, slots=True)
class Adam8bit:
    """AdamW with moments m and v in 8 bits, in blocks of 256 entries with one scale each.

    Tensors with fewer than 4096 entries keep moments of 32 bits.

    Attributes:
        lr: learning rate.
        beta1: decay rate of the first moment m.
        beta2: decay rate of the second moment v.
        eps: constant added to √v̂.

    Source: Dettmers et al. 2022, "8-bit optimizers via block-wise quantization", arXiv 2110.02861.
    Departs: none. When several processes share the model, the blocks and the limit of 4096 entries apply to the part
        of each process.
    """

    name: ClassVar[str] = "adam8bit"
    facts: ClassVar[Facts] = Facts(rule="Adam, m and v in 8 bits", state_bytes=2.06)
    lr: float = 1e-5
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8

    def __post_init__(self) -> None:
        positive(self.name, lr=self.lr, eps=self.eps)
        fraction(self.name, beta1=self.beta1, beta2=self.beta2)

    def build(self, parameters: Parameters, *, clip: float | None, seed: int) -> Rule:
        """Build a rule that feeds backpropagated gradients to bitsandbytes' AdamW8bit."""
        try:
            from bitsandbytes.optim import AdamW8bit
        except ImportError as error:
            raise MissingExtraError("bitsandbytes", None, "optimizer adam8bit") from error
        betas = (self.beta1, self.beta2)
        held = [Parameter(local(p.detach())) if is_sharded(p) else p for p in parameters.values()]
        update = AdamW8bit(held, lr=self.lr, betas=betas, eps=self.eps, weight_decay=0.0)
        _follow(update, [(own, p) for own, p in zip(held, parameters.values(), strict=True) if own is not p])
        return GradientRule(parameters, Backward(), update, clip=clip)


def _follow(update: Optimizer, parts: list[tuple[Parameter, Tensor]]) -> None:
    """Let an optimizer with kernels for plain tensors act on the local parts of sharded parameters.

    Args:
        update: optimizer over the first parameter of each pair.
        parts: pairs of a plain parameter and the sharded parameter that it stands for.
    """

    def show(*_: object) -> None:
        for own, p in parts:
            own.data = local(p.detach())  # FSDP2 may have moved it
            own.grad = None if p.grad is None else local(p.grad)

    def hide(*_: object) -> None:
        for own, _p in parts:
            own.grad = None

    update.register_step_pre_hook(show)
    update.register_step_post_hook(hide)
