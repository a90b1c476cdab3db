"""A low-rank adapter that is trained within a `with` block and merged into the weights at its end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..errors import MissingExtraError

__all__ = ["Adapter", "adapter"]


class Adapter:
    """A low-rank adapter on a model's linear layers, while it is trained.

    Args:
        model: model with peft's layers in place of the adapted ones.

    Attributes:
        parameters: number of trainable parameters.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self.parameters = sum(p.numel() for p in model.parameters() if p.requires_grad)

    @contextmanager
    def merged(self) -> Iterator[None]:
        """Give the model its own layers with the adapter added, W + (alpha/rank)·B·A, and afterwards peft's again.

        The weights before are set aside and put back, not computed by subtraction, so training continues bit for bit.
        """
        from peft.tuners.lora import LoraLayer

        found = [
            (parent, name, layer)
            for parent in list(self._model.modules())
            for name, layer in parent.named_children()
            if isinstance(layer, LoraLayer)
        ]
        before = [layer.get_base_layer().weight.data for _, _, layer in found]
        for parent, name, layer in found:
            own = layer.get_base_layer()
            own.weight.data = own.weight.data + layer.get_delta_weight("default").to(own.weight.dtype)
            setattr(parent, name, own)
        try:
            yield
        finally:
            for (parent, name, layer), weight in zip(found, before, strict=True):
                layer.get_base_layer().weight.data = weight
                setattr(parent, name, layer)


@contextmanager
def adapter(model: Any, rank: int, alpha: int, seed: int, what: str) -> Iterator[Adapter]:
    """Add a low-rank adapter to all linear layers but the head; within the block, only the adapter is trainable.

    At the end the adapter is merged, W + (alpha/rank)·B·A, or removed if the block raises an exception. Module tree,
    parameter objects and `requires_grad` flags are then restored.

    Args:
        model: Hugging Face causal language model.
        rank: rank of the adapter.
        alpha: scale of the adapter times its rank.
        seed: seed of the initial A; B starts at 0.
        what: feature that needs the adapter, named in the message if peft is missing.

    Yields:
        The adapter.
    """
    import torch

    try:
        from peft import LoraConfig, get_peft_model
    except ImportError as error:
        raise MissingExtraError("peft", "peft", what) from error
    flags = {name: p.requires_grad for name, p in model.named_parameters()}
    config = LoraConfig(r=rank, lora_alpha=alpha, target_modules="all-linear", bias="none", task_type="CAUSAL_LM")
    with torch.random.fork_rng():  # the adapter's start is drawn from the global generator
        torch.manual_seed(seed)
        adapted = get_peft_model(model, config)
    merge = False
    try:
        yield Adapter(model)
        merge = True
    finally:
        (adapted.merge_and_unload if merge else adapted.unload)()
        for name, p in model.named_parameters():
            p.requires_grad_(flags[name])
