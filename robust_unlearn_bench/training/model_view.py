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
    """Passes over whole batches; a part of a batch counts as its share.

    Attributes:
        forwards: of the trained model and of the reference.
        backwards: of the trained model.
        share: what the next pass counts as.
    """

    forwards: float = 0.0
    backwards: float = 0.0
    share: float = 1.0


class ModelView:
    """Forward passes of one model.

    Args:
        model: a Hugging Face causal language model.
        compute: context of every forward pass (autocast, no_grad).
        count: where passes are counted.
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
        """The model with `by` ([batch, seq, width]) added to the output of decoder layer `layer`, from 0."""
        view = copy.copy(self)
        view._shift = layer, by
        return view

    def gradient(self, loss: Tensor, point: Tensor) -> Tensor:
        """∂loss/∂point; nothing is added to the gradients of the parameters."""
        self.count.backwards += self.count.share
        return torch.autograd.grad(loss, point)[0]

    def _place(self) -> None:
        """Put this view's shift in the place of the last pass's.

        A shift stays until the next pass: layers that are recomputed in the backward pass must meet it again.
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
        """[batch, seq, vocab], in the dtype that the model computes in."""
        self._place()
        self.count.forwards += self.count.share
        with self.compute():
            return cast(Tensor, self.model(input_ids=batch.input_ids, use_cache=False).logits)

    def hidden(self, batch: BatchLike, layer: int) -> Tensor:
        """[batch, seq, width]: output of decoder layer `layer`, from 0; the layers above are not computed."""
        self._place()
        self.count.forwards += self.count.share
        caught: list[Tensor] = []
        sharded = hasattr(self.model, "set_requires_gradient_sync")  # FSDP2 counts on whole passes

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
    """The wanted layer has answered."""


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
    """Training mode with every dropout probability at zero; modes and probabilities come back afterwards.

    Training mode rather than `eval()`, because gradient checkpointing works only there.
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
