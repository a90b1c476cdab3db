"""Where a training run keeps weights, gradients and states, and in how many parts it computes: chosen from free memory.

A placement is part of no attack and no recipe. With the same parts it changes no bit of the result on one type of device;
smaller parts change the order of sums, that is, the rounding. The fastest placement that fits is taken:

    everything on the device → activations recomputed → smaller parts → masters in CPU memory, in the same order

`RUB_DEVICE_MEMORY=24GB` limits what a run may hold on its device; on a CPU it simulates a device of that size.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from torch import nn

from ..errors import ConfigError, ModelError
from ..optimizers.rule import Parameters
from .footprint import Demand, Run, Sizes, training
from .host_weights import HostWeights
from .precision import Weights
from .precision_names import Precision

__all__ = ["Free", "Placement", "fit", "free_memory", "gigabytes", "parse_bytes", "weights_for"]

MARGIN = 0.93
"""Fraction of the free memory that a plan may fill: allocators round, and live tensors are not all they hold."""


@dataclass(frozen=True, slots=True)
class Placement:
    """How a training run uses memory.

    Attributes:
        masters: where the trained weights, their gradients and the optimizer's states are.
        recompute: activations are computed again in the backward pass.
        micro_batch: largest number of sequences in one pass; None for the whole batch.
        device_bytes: planned bytes on the device, the model included; None if nothing was planned.
        host_bytes: planned bytes in CPU memory.
    """

    masters: Literal["device", "host"] = "device"
    recompute: bool = False
    micro_batch: int | None = None
    device_bytes: int | None = None
    host_bytes: int | None = None

    @property
    def on_host(self) -> bool:
        """Whether the masters are in CPU memory."""
        return self.masters == "host"


class Free(NamedTuple):
    """Bytes that a run may use, those that the model already holds included.

    Attributes:
        device: on the device, or None if the device computes in CPU memory.
        host: in CPU memory.
        where: the device, in words.
    """

    device: int | None
    host: int
    where: str = "the device"

    def holds(self, demand: Demand) -> bool:
        """Return whether a demand fits."""
        if self.device is None:
            return demand.device + demand.host <= self.host * MARGIN
        return demand.device <= self.device * MARGIN and demand.host <= self.host * MARGIN


def fit(what: str, s: Sizes, run: Run, free: Free) -> Placement:
    """Return the fastest placement of a training run that fits, with its planned bytes.

    Args:
        what: the run, as the beginning of a sentence ("relearn100").
        s: sizes of the model.
        run: the run.
        free: bytes that may be used.

    Raises:
        ModelError: none fits; one sentence with what the smallest needs and what can be used.
    """
    least: Demand | None = None
    for option in _placements(run, s.recomputable):
        if option.on_host and free.device is None:
            break  # one memory: nothing is won by keeping weights twice
        needs = training(s, run, on_host=option.on_host, recompute=option.recompute, micro_batch=option.micro_batch)
        if free.holds(needs):
            return replace(option, device_bytes=needs.device, host_bytes=needs.host)
        if least is None or needs.device < least.device:
            least = needs
    assert least is not None, "there is at least one placement"
    if free.device is None:
        need, have = f"{gigabytes(least.device)} of CPU memory", gigabytes(free.host)
    else:
        need = f"{gigabytes(least.device)} on the device and {gigabytes(least.host)} in CPU memory"
        have = f"{gigabytes(free.device)} and {gigabytes(free.host)} (on {free.where})"
    raise ModelError(
        f"{what} needs {need} under the smallest placement, and {MARGIN:.0%} of {have} can be used: end other programs "
        "that hold memory, or take a larger device or more CPU memory"
    )


def _placements(run: Run, can_recompute: bool) -> Iterator[Placement]:
    """Yield the placements from the fastest to the smallest."""
    parts: list[int | None] = [run.micro_batch]
    rows = min(run.batch, run.micro_batch or run.batch)
    while rows > 1:
        rows = -(-rows // 2)
        parts.append(rows)
    again = [run.recompute] if run.recompute or not can_recompute else [False, True]
    masters: tuple[Literal["device", "host"], ...] = ("device", "host")
    for place in masters:
        yield from (Placement(place, each, parts[0]) for each in again)
        yield from (Placement(place, again[-1], part) for part in parts[1:])


def weights_for(placement: Placement, model: nn.Module, parameters: Parameters, precision: Precision) -> Weights:
    """Return the context that keeps a model's weights where a placement says."""
    return (HostWeights if placement.on_host else Weights)(model, parameters, precision)


def free_memory(model: nn.Module | None = None, device: torch.device | str | None = None) -> Free:
    """Measure what may be used now: what is free, whoever uses the rest, and what the model itself holds.

    Args:
        model: model that is already loaded, or None.
        device: where it will be, if there is no model yet.

    Raises:
        ConfigError: RUB_DEVICE_MEMORY cannot be read.
    """
    held = {torch.device(device)} if device is not None else set[torch.device]()
    held |= {p.device for p in model.parameters()} if model is not None else set()
    cards = sorted({torch.device("cuda", d.index or 0) for d in held if d.type == "cuda"}, key=str)
    own = sum(p.numel() * p.element_size() for p in model.parameters()) if model is not None else 0
    limit = os.environ.get("RUB_DEVICE_MEMORY")
    most = parse_bytes(limit, "RUB_DEVICE_MEMORY") if limit else None
    if not cards:
        return Free(most, _free_host() + own, "the simulated device" if most else "the CPU")
    free = own
    for card in cards:
        unused = torch.cuda.memory_reserved(card) - torch.cuda.memory_allocated(card)
        free += torch.cuda.mem_get_info(card)[0] + unused
    return Free(min(free, most or free), _free_host(), " and ".join(map(str, cards)))


CONTAINER = Path("/sys/fs/cgroup")
"""Where a Linux container finds its limits."""


def _free_host() -> int:
    """Return the bytes that this process may still allocate, within the limit of a container.

    Cached files that the system would drop for an allocation count as free.
    """
    import psutil  # type: ignore[import-untyped]  # it has no stubs of its own

    free = int(psutil.virtual_memory().available)
    try:
        limit, used, told = ((CONTAINER / f"memory.{name}").read_text() for name in ("max", "current", "stat"))
    except OSError:
        return free
    cached = re.search(r"^inactive_file (\d+)$", told, re.MULTILINE)
    if not limit.strip().isdecimal():
        return free
    return max(0, min(free, int(limit) - int(used) + int(cached[1] if cached else 0)))


_UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


def parse_bytes(text: str, what: str) -> int:
    """Read an amount of memory: "24GB" (10^9), "22.5GiB" (2^30), "800MB".

    Raises:
        ConfigError: it is none, or not above 0.
    """
    found = re.fullmatch(r"([0-9]*\.?[0-9]+)\s*([KMGT]?i?B|[KMGT]?)", text.strip(), re.IGNORECASE)
    unit = (found[2].upper() if found else "").removesuffix("B")
    size = float(found[1]) * _UNITS.get(f"{unit}B" if unit else "", 0) if found else 0
    if size <= 0:
        raise ConfigError(f"{what} is {text!r}: give an amount of memory such as 24GB")
    return int(size)


def gigabytes(size: float) -> str:
    """Render bytes: "21.6 GB", or with more digits below 1 GB."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e9:.3g} GB"
