"""Snapshot of the weights before an attack, kept in memory, on disk, or in the checkpoint they came from."""

from __future__ import annotations

import errno
import mmap
import shutil
import tempfile
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn

from ..errors import AttackError, UnknownNameError
from ..paths import cache_dir
from .decoder import tensor_kind
from .weights import fingerprint, out_of_memory, raw_bytes, tensors

__all__ = ["Keep", "Snapshot", "check_keep"]

Keep = Literal["cpu", "disk", "reload"]
"""cpu: a copy in CPU memory; disk: a copy in the cache folder; reload: no copy, the checkpoint is read again."""

Originals = Callable[[], Mapping[str, Tensor]]


def check_keep(keep: str) -> Keep:
    """Return `keep` if it names a place where a snapshot can be kept.

    Raises:
        UnknownNameError: there is no such place.
    """
    for known in get_args(Keep):
        if keep == known:
            return known  # type: ignore[no-any-return]  # get_args is not typed
    raise UnknownNameError("snapshot", keep, get_args(Keep))


class _Flags(NamedTuple):
    training: bool
    requires_grad: dict[str, bool]


class Snapshot:
    """Record of every parameter and buffer of a model, and of the flags that training changes.

    Args:
        model: model to record.
        keep: place where the weights are kept.

    Raises:
        AttackError: there is no room for the copy, or the checkpoint does not hold these weights.
    """

    def __init__(self, model: nn.Module, keep: Keep = "cpu") -> None:
        self._flags = _Flags(model.training, {n: p.requires_grad for n, p in model.named_parameters()})
        self._originals = _KEPT[keep](model)

    def restore(self, model: nn.Module) -> None:
        """Copy every tensor back, bit for bit, drop gradients and reset the training flags.

        Raises:
            AttackError: the attack added or removed parameters or buffers, or the checkpoint has changed.
        """
        originals, present = self._originals(), dict(tensors(model))
        if present.keys() != originals.keys():
            odd = sorted(present.keys() ^ originals.keys())
            raise AttackError(
                f"the attack changed the model's structure (first difference: {odd[0]}); reload the model"
            )
        with torch.no_grad():
            for name, tensor in present.items():
                tensor.copy_(originals[name])
        for name, parameter in model.named_parameters():
            parameter.grad = None
            parameter.requires_grad_(self._flags.requires_grad[name])
        model.train(self._flags.training)

    def change(self, model: nn.Module) -> dict[str, float]:
        """Compute the relative change ‖W − W₀‖ / ‖W₀‖ since the snapshot, for each class of tensor.

        Returns:
            Relative L2 change by class: "embedding", "attention", "mlp", "norm", "head", "other" and "all".
        """
        originals = self._originals()
        moved: dict[str, float] = {}
        size: dict[str, float] = {}
        for name, parameter in model.named_parameters(remove_duplicate=True):
            old = originals[name].float()
            difference = float((parameter.detach().to("cpu", torch.float32) - old).square().sum(dtype=torch.float64))
            norm = float(old.square().sum(dtype=torch.float64))
            for key in (tensor_kind(name), "all"):
                moved[key] = moved.get(key, 0.0) + difference
                size[key] = size.get(key, 0.0) + norm
        return {key: (moved[key] / size[key]) ** 0.5 if size[key] else 0.0 for key in sorted(moved)}


def _in_memory(model: nn.Module) -> Originals:
    try:
        copies = {name: tensor.detach().to("cpu", copy=True) for name, tensor in tensors(model)}
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        raise AttackError(
            f"CPU memory has no room for a copy of the weights ({_gigabytes(model)}): choose snapshot=disk or "
            "snapshot=reload"
        ) from error
    return lambda: copies


def _on_disk(model: nn.Module) -> Originals:
    """Keep the weights in an unnamed, memory-mapped file, which is read on restoring and vanishes with the process."""
    folder = cache_dir()
    at: dict[str, int] = {}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(folder).free < sum(tensor.nbytes for _, tensor in tensors(model)):
            raise OSError(errno.ENOSPC, "too little free space")
        with tempfile.TemporaryFile(dir=folder) as file:
            for name, tensor in tensors(model):
                file.write(bytes(-file.tell() % 64))  # aligned, so that the bytes can be read as any dtype
                at[name] = file.tell()
                file.write(raw_bytes(tensor))
            file.flush()
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    except OSError as error:
        raise AttackError(
            f"a snapshot of {_gigabytes(model)} cannot be written below {folder} ({error.strerror or error}): free "
            "some space, set RUB_CACHE to a folder on another disk, or choose snapshot=reload"
        ) from error

    def read(name: str, like: Tensor) -> Tensor:
        if not like.numel():
            return torch.empty(like.shape, dtype=like.dtype)
        flat = torch.frombuffer(mapped, dtype=like.dtype, count=like.numel(), offset=at[name])
        return flat.view(like.shape)

    views = {name: read(name, tensor) for name, tensor in tensors(model)}
    return lambda: views


def _again(model: nn.Module) -> Originals:
    """Read the checkpoint whenever the weights are needed, and once now to verify that it holds them."""
    from .checkpoint import load

    source = str(getattr(model, "name_or_path", "") or "")
    wanted = fingerprint(model)
    remedy = "choose snapshot=cpu or snapshot=disk"
    if not source:
        raise AttackError(f"snapshot=reload needs a model that was loaded from a checkpoint: {remedy}")

    def read() -> Mapping[str, Tensor]:
        fresh: Any = load(source, str(next(model.parameters()).dtype).removeprefix("torch.")).model
        if fingerprint(fresh) != wanted:
            raise AttackError(f"{source} gives different weights when loaded again: {remedy}")
        return {name: tensor.detach() for name, tensor in tensors(fresh)}

    read()
    return read


_KEPT: Mapping[Keep, Callable[[nn.Module], Originals]] = {"cpu": _in_memory, "disk": _on_disk, "reload": _again}


def _gigabytes(model: nn.Module) -> str:
    return f"{sum(tensor.nbytes for _, tensor in tensors(model)) / 1e9:.2f} GB"
