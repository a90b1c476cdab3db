"""The local engine: one process per slot, with cores, threads and GPUs of its own; a process that dies costs one cell."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from queue import Empty, SimpleQueue
from typing import NamedTuple

from ...errors import ConfigError
from ..carry_out import Ended, lost, run_cell

__all__ = ["Slot", "run_here", "slots"]

DIED = "its process was killed, often for want of memory: give it more memory or a smaller batch, then --retry"


class Slot(NamedTuple):
    """What one process has to itself: numbers of cores and GPUs."""

    cores: tuple[int, ...]
    gpus: tuple[int, ...]


def slots(cpus: int, gpus: int, workers: int | None = None) -> list[Slot]:
    """Divide this machine.

    Args:
        cpus: cores of one cell.
        gpus: GPUs of one cell.
        workers: most slots, or None.

    Raises:
        ConfigError: there is not enough for one cell.
    """
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
    devices = _gpus() if gpus else 0
    if cpus > len(cores) or gpus > devices:
        raise ConfigError(
            f"a cell asks for {cpus} CPUs and {gpus} GPUs, and {len(cores)} and {devices} are free here: lower resources "
            "in the grid"
        )
    count = min(len(cores) // cpus, devices // gpus if gpus else len(cores))
    count = min(count, workers) if workers else count
    return [Slot(tuple(cores[i * cpus : (i + 1) * cpus]), tuple(range(i * gpus, (i + 1) * gpus))) for i in range(count)]


def run_here(
    paths: Sequence[str],
    *,
    cpus: int,
    gpus: int,
    workers: int | None,
    retry: bool,
    report: Callable[[str, Ended], None],
) -> None:
    """Carry out cells on this machine.

    Args:
        paths: folders of the cells.
        cpus: cores of one cell.
        gpus: GPUs of one cell.
        workers: most cells at a time, or None for as many as there is room for.
        retry: try again what has failed.
        report: called with (folder, how it ended) after each cell, by one thread at a time.

    Raises:
        ConfigError: there is not enough for one cell, or the disk is full.
    """
    todo: SimpleQueue[str] = SimpleQueue()
    for path in paths:
        todo.put(path)
    stop, turn = threading.Event(), threading.Lock()
    device = "cuda" if gpus else "cpu"

    def serve(slot: Slot) -> None:
        pool = _process(slot)
        try:
            while not stop.is_set():
                try:
                    path = todo.get_nowait()
                except Empty:
                    return
                try:
                    ended = pool.submit(run_cell, path, device, retry).result()
                except BrokenProcessPool:
                    if stop.is_set():
                        return
                    ended, pool = lost(path, DIED), _process(slot)
                with turn:
                    report(path, ended)
        except BaseException:
            stop.set()
            raise
        finally:
            pool.shutdown(cancel_futures=True)

    with ThreadPoolExecutor(max(1, len(paths))) as threads:
        futures = [threads.submit(serve, slot) for slot in slots(cpus, gpus, workers)[: len(paths)]]
        try:
            for future in futures:
                future.result()
        except BaseException:
            stop.set()
            for process in multiprocessing.active_children():
                process.terminate()
            raise


def _process(slot: Slot) -> ProcessPoolExecutor:
    """Return a pool of one process, which starts with its first cell and stays for the next."""
    return ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"), initializer=_pin, initargs=(slot,))


def _pin(slot: Slot) -> None:
    """Give the process its cores, threads and GPUs, before it imports torch."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(len(slot.cores))
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, slot.cores)
    if slot.gpus:
        here = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
        names = [here[gpu] if len(here) > gpu and here[gpu] else str(gpu) for gpu in slot.gpus]
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(names)


def _gpus() -> int:
    import torch

    return int(torch.cuda.device_count())
