"""Training of a part of a model, chosen by parameter name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from ..errors import ModelError

__all__ = ["only"]


@contextmanager
def only(model: nn.Module, patterns: list[str]) -> Iterator[None]:
    """Train only parameters with a full name that matches one of the regular expressions; [] for all.

    Raises:
        ModelError: a pattern matches no parameter; the message lists names.
    """
    flags = {name: p.requires_grad for name, p in model.named_parameters()}
    for pattern in patterns:
        if not any(re.fullmatch(pattern, name) for name in flags):
            shown = ", ".join([name for name in flags if re.search(r"\.\d+\.", name)][:8] or [*flags][:8])
            raise ModelError(f"train has {pattern!r}, which matches no parameter of this model; it has {shown}, …")
    for name, p in model.named_parameters():
        p.requires_grad_(flags[name] if not patterns else any(re.fullmatch(pattern, name) for pattern in patterns))
    try:
        yield
    finally:
        for name, p in model.named_parameters():
            p.requires_grad_(flags[name])
