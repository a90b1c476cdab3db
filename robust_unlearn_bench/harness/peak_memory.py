"""Peak memory during an attack, including everything already in memory (weights, snapshot)."""

from __future__ import annotations

import re
from pathlib import Path

import torch

__all__ = ["PeakMemory"]

_PROCESS = Path("/proc/self")


class PeakMemory:
    """Peak memory since construction, excluding the time from each `read` to the `resume` that follows it.

    On CUDA this is the allocator's peak, summed over the devices that hold the model; on the CPU it is the largest
    resident set of the process, which only Linux can reset.

    Args:
        model: the model under attack, already on its devices.
    """

    def __init__(self, model: torch.nn.Module) -> None:
        self._devices = sorted({p.device.index for p in model.parameters() if p.device.type == "cuda"})
        self._highest: int | None = 0
        self.resume()

    def resume(self) -> None:
        """Continue measuring: earlier peaks count, except those since the last `read`."""
        for device in self._devices:
            torch.cuda.reset_peak_memory_stats(device)
        if not self._devices and not _reset_resident():
            self._highest = None

    def read(self) -> int | None:
        """Return the peak in bytes, or None if the system cannot measure it."""
        if self._highest is not None:
            allocated = [torch.cuda.max_memory_allocated(device) for device in self._devices]
            now = sum(allocated) if allocated else _resident()
            self._highest = max(self._highest, now)
        return self._highest


def _reset_resident() -> bool:
    """Reset the largest resident set to the current one; return False if the system offers no way."""
    try:
        (_PROCESS / "clear_refs").write_text("5")
    except OSError:
        return False
    return True


def _resident() -> int:
    """Return the largest resident set since the last reset, in bytes."""
    found = re.search(r"VmHWM:\s+(\d+) kB", (_PROCESS / "status").read_text())
    assert found is not None, "Linux names VmHWM in /proc/self/status"
    return int(found[1]) * 1024
