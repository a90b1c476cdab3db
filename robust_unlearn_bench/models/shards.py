"""Parameters that are sharded over several devices (FSDP2): elementwise rules work on the local part alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from torch import Tensor

from ..errors import ConfigError

__all__ = ["is_sharded", "local", "local_part", "refuse_shards"]


def is_sharded(values: Tensor) -> bool:
    """Return whether this device holds only a part of a tensor."""
    return hasattr(values, "device_mesh")


def local(values: Tensor) -> Tensor:
    """Return the part of a tensor on this device, sharing its memory; all of it if the tensor is not sharded."""
    return cast(Tensor, cast(Any, values).to_local()) if is_sharded(values) else values


def local_part(full: Tensor, like: Tensor) -> Tensor:
    """Return the part of a full tensor that corresponds to the local part of `like`, sharing its memory.

    Args:
        full: tensor with the global shape of `like`, the same on every device.
        like: parameter that is sharded along one dimension or not at all.
    """
    if not is_sharded(like):
        return full
    mesh, (placement,) = cast(Any, like).device_mesh, cast(Any, like).placements
    parts = full.chunk(mesh.size(), placement.dim)
    rank = mesh.get_local_rank()
    return parts[rank] if rank < len(parts) else full.narrow(placement.dim, 0, 0)


def refuse_shards(what: str, parameters: Mapping[str, Tensor]) -> None:
    """Raise if a rule that needs whole tensors would see only parts of them.

    Raises:
        ConfigError: a parameter is sharded; the message names `what`.
    """
    if any(is_sharded(p) for p in parameters.values()):
        raise ConfigError(
            f"{what} needs whole tensors, which no process has when several share the model: "
            "run it in one process, or choose an elementwise rule such as adam"
        )
