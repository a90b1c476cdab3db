"""Copies between a device and CPU memory: at once, or on CUDA through pinned memory while the device computes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

__all__ = ["CudaTransfers", "Transfers", "transfers_for"]

WAITING = 3
"""Most gradients on their way at a time, which are in device memory until they have arrived: within the plan's margin."""


class Transfers(Protocol):
    """Copies to and from one or several devices of a kind."""

    def send(self, values: Tensor, to: Tensor) -> None:
        """Copy values from CPU memory into a tensor on the device, rounded to its dtype."""
        ...

    def fetch(self, values: Tensor, take: Callable[[Tensor], None]) -> None:
        """Copy values to CPU memory and hand the copy to `take`, now or by the end of the next `finish`."""
        ...

    def finish(self) -> None:
        """Wait until everything fetched has been taken."""
        ...


class _AtOnce:
    def send(self, values: Tensor, to: Tensor) -> None:
        to.copy_(values)

    def fetch(self, values: Tensor, take: Callable[[Tensor], None]) -> None:
        take(values.to("cpu", copy=True))

    def finish(self) -> None:
        pass


class CudaTransfers:
    """Transfers through pinned buffers, those to CPU memory on a stream of their own."""

    def __init__(self) -> None:
        self._streams: dict[torch.device, torch.cuda.Stream] = {}
        self._under_way: deque[tuple[torch.cuda.Event, Tensor, Callable[[Tensor], None]]] = deque()

    def send(self, values: Tensor, to: Tensor) -> None:
        """Round in CPU memory, so that only the narrow values travel; kernels that follow wait for them."""
        buffer = torch.empty(values.shape, dtype=to.dtype, pin_memory=True).copy_(values)
        to.copy_(buffer, non_blocking=True)  # torch keeps a pinned buffer until its copies are done

    def fetch(self, values: Tensor, take: Callable[[Tensor], None]) -> None:
        """Copy once the kernels before are done; the device goes on meanwhile."""
        stream = self._streams.setdefault(values.device, torch.cuda.Stream(values.device))  # type: ignore[no-untyped-call]  # torch leaves it untyped
        stream.wait_stream(torch.cuda.current_stream(values.device))
        buffer = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
        with torch.cuda.stream(stream):
            buffer.copy_(values, non_blocking=True)
            done = stream.record_event()
        values.record_stream(stream)
        self._under_way.append((done, buffer, take))
        while len(self._under_way) > WAITING:
            self._take_first()

    def finish(self) -> None:
        """Take everything that is under way."""
        while self._under_way:
            self._take_first()

    def _take_first(self) -> None:
        done, buffer, take = self._under_way.popleft()
        done.synchronize()
        take(buffer)


def transfers_for(device: torch.device) -> Transfers:
    """Return the transfers for a device: overlapped on CUDA, one after another elsewhere."""
    return CudaTransfers() if device.type == "cuda" else _AtOnce()
