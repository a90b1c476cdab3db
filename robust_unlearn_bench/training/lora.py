"""A low-rank adapter for as long as a block lasts, merged into the weights at its end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..errors import MissingExtraError

__all__ = ["adapter"]


@contextmanager
def adapter(model: Any, rank: int, alpha: int, seed: int, what: str) -> Iterator[int]:
    """Put an adapter into all linear layers but the head; only it is trainable within the block.

    At the end it is merged, W + (alpha/rank)·B·A, or taken out when the block is left by an exception. The module tree,
    parameter objects and `requires_grad` flags are afterwards what they were.

    Args:
        model: a Hugging Face causal language model.
        rank: of the adapter.
        alpha: its scale times its rank.
        seed: of A; B starts at 0.
        what: whoever needs it, for the message when peft is missing.

    Yields:
        Number of its parameters.
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
        yield sum(p.numel() for p in model.parameters() if p.requires_grad)
        merge = True
    finally:
        (adapted.merge_and_unload if merge else adapted.unload)()
        for name, p in model.named_parameters():
            p.requires_grad_(flags[name])
