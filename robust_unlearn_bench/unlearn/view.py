"""A model as objectives see it: batch in, logits or hidden states out, every pass counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, cast

from torch import Tensor, nn

from ..errors import ModelError
from ..objectives.objective import BatchLike

__all__ = ["Count", "ModelView", "decoder_layer", "decoder_layers", "without_dropout"]


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

    def logits(self, batch: BatchLike) -> Tensor:
        """[batch, seq, vocab], in the dtype that the model computes in."""
        self.count.forwards += self.count.share
        with self.compute():
            return cast(Tensor, self.model(input_ids=batch.input_ids, use_cache=False).logits)

    def hidden(self, batch: BatchLike, layer: int) -> Tensor:
        """[batch, seq, width]: output of decoder layer `layer`, from 0; the layers above are not computed."""
        self.count.forwards += self.count.share
        caught: list[Tensor] = []
        sharded = hasattr(self.model, "set_requires_gradient_sync")  # FSDP2 counts on whole passes

        def catch(module: nn.Module, inputs: Any, output: Any) -> None:
            caught.append(output[0] if isinstance(output, tuple) else output)
            if not sharded:
                raise _Caught

        handle = decoder_layer(self.model, layer).register_forward_hook(catch)
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


def decoder_layers(model: nn.Module) -> list[nn.Module]:
    """The decoder layers, first to last: the list of modules that holds most parameters; [] where there is none."""
    stacks = [list(module) for module in model.modules() if isinstance(module, nn.ModuleList)]
    return max(stacks, key=lambda stack: sum(p.numel() for layer in stack for p in layer.parameters()), default=[])


def decoder_layer(model: nn.Module, layer: int) -> nn.Module:
    """Decoder layer number `layer`, from 0.

    Raises:
        ModelError: the model has no such layer.
    """
    stack = decoder_layers(model)
    if not stack:
        raise ModelError("this model has no stack of decoder layers: choose an objective that does not look inside")
    if not 0 <= layer < len(stack):
        raise ModelError(f"this model has no decoder layer {layer}: choose one from 0 to {len(stack) - 1}")
    return stack[layer]


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
