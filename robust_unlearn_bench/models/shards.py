"""Parameters that lie in parts on several devices (FSDP2): elementwise rules work on the local part alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from torch import Tensor

from ..errors import ConfigError

__all__ = ["is_sharded", "local", "local_part", "refuse_shards"]


def is_sharded(values: Tensor) -> bool:
    """Whether this device holds only a part of a tensor."""
    return hasattr(values, "device_mesh")


def local(values: Tensor) -> Tensor:
    """The part of a tensor on this device, sharing its memory; all of it where nothing is sharded."""
    return cast(Tensor, cast(Any, values).to_local()) if is_sharded(values) else values


def local_part(full: Tensor, like: Tensor) -> Tensor:
    """The part of a full tensor that belongs to the local part of `like`, sharing its memory.

    Args:
        full: the same on every device, of the global shape of `like`.
        like: a parameter, sharded along one dimension or not at all.
    """
    if not is_sharded(like):
        return full
    mesh, (placement,) = cast(Any, like).device_mesh, cast(Any, like).placements
    parts = full.chunk(mesh.size(), placement.dim)
    rank = mesh.get_local_rank()
    return parts[rank] if rank < len(parts) else full.narrow(placement.dim, 0, 0)


def refuse_shards(what: str, parameters: Mapping[str, Tensor]) -> None:
    """Raise where a rule that looks at whole tensors would see parts of them.

    Raises:
        ConfigError: naming `what`.
    """
    if any(is_sharded(p) for p in parameters.values()):
        raise ConfigError(
            f"{what} needs whole tensors, which no process has when several share the model: "
            "run it in one process, or choose an elementwise rule such as adam"
        )
