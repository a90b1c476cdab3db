"""A model as objectives see it: batch in, logits or hidden states out, every pass counted."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from ..models.decoder import decoder_block
from ..objectives.objective import BatchLike

__all__ = ["Count", "ModelView", "evaluating", "without_dropout"]


@dataclass(slots=True)
class Count:
    """Number of passes over whole batches; a part of a batch counts as a fraction of a pass.

    Attributes:
        forwards: forward passes of the trained model and of the reference.
        backwards: backward passes of the trained model.
        share: fraction of a pass that the next one counts as.
    """

    forwards: float = 0.0
    backwards: float = 0.0
    share: float = 1.0


class ModelView:
    """Forward passes of one model.

    Args:
        model: Hugging Face causal language model.
        compute: context of every forward pass (autocast, no_grad).
        count: counter of the passes.
    """

    def __init__(
        self,
        model: nn.Module,
        compute: Callable[[], AbstractContextManager[Any]] = nullcontext,
        count: Count | None = None,
    ) -> None:
        self.model = model
        self.compute = compute
        self.count = count or Count()
        self._shift: tuple[int, Tensor] | None = None
        self._placed: list[RemovableHandle] = []

    def shifted(self, layer: int, by: Tensor) -> ModelView:
        """Return the model with `by` ([batch, seq, width]) added to the output of decoder layer `layer`, from 0."""
        view = copy.copy(self)
        view._shift = layer, by
        return view

    def gradient(self, loss: Tensor, point: Tensor) -> Tensor:
        """Return ∂loss/∂point; nothing is added to the gradients of the parameters."""
        self.count.backwards += self.count.share
        return torch.autograd.grad(loss, point)[0]

    def _place(self) -> None:
        """Replace the shift of the last pass by this view's shift.

        A shift stays until the next pass, because layers recomputed in the backward pass must apply it again.
        """
        while self._placed:
            self._placed.pop().remove()
        if self._shift is None:
            return
        layer, by = self._shift

        def add(module: nn.Module, inputs: Any, output: Any) -> Any:
            if isinstance(output, tuple):
                return (output[0] + by.to(output[0].dtype), *output[1:])
            return output + by.to(output.dtype)

        self._placed.append(decoder_block(self.model, layer).register_forward_hook(add))

    def logits(self, batch: BatchLike) -> Tensor:
        """Return logits [batch, seq, vocab], in the dtype that the model computes in."""
        self._place()
        self.count.forwards += self.count.share
        with self.compute():
            return cast(Tensor, self.model(input_ids=batch.input_ids, use_cache=False).logits)

    def hidden(self, batch: BatchLike, layer: int) -> Tensor:
        """Return the output [batch, seq, width] of decoder layer `layer`, from 0.

        The layers above are not computed, unless the model is sharded.
        """
        self._place()
        self.count.forwards += self.count.share
        caught: list[Tensor] = []
        sharded = hasattr(self.model, "set_requires_gradient_sync")  # FSDP2 needs complete passes

        def catch(module: nn.Module, inputs: Any, output: Any) -> None:
            caught.append(output[0] if isinstance(output, tuple) else output)
            if not sharded:
                raise _Caught

        handle = decoder_block(self.model, layer).register_forward_hook(catch)
        try:
            with self.compute():
                self.model(input_ids=batch.input_ids, use_cache=False)
        except _Caught:
            pass
        finally:
            handle.remove()
        return caught[0]


class _Caught(Exception):
    """Raised once the requested layer has run, to stop the forward pass."""


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Dropout off inside, every module's mode as before afterwards."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


@contextmanager
def without_dropout(model: nn.Module) -> Iterator[None]:
    """Put a model into training mode with all dropout probabilities at zero; restore both afterwards.

    The mode is training rather than `eval()` because gradient checkpointing works only there.
    """
    modes = {module: module.training for module in model.modules()}
    rates: list[tuple[nn.Module, str, float]] = []
    for module in model.modules():
        for name, value in vars(module).items():
            is_rate = "dropout" in name or (name == "p" and isinstance(module, nn.Dropout))
            if is_rate and isinstance(value, float) and value > 0:
                rates.append((module, name, value))
    for module, name, _ in rates:
        setattr(module, name, 0.0)
    model.train()
    try:
        yield
    finally:
        for module, name, value in rates:
            setattr(module, name, value)
        for module, training in modes.items():
            module.training = training
