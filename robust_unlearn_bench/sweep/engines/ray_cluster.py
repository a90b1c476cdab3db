"""The Ray engine: each cell is a task with declared CPUs and GPUs; Ray runs it again elsewhere when its node is lost."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ...errors import ConfigError, MissingExtraError, RubError
from ..carry_out import Ended, lost, run_cell

__all__ = ["run_on_ray"]

RETRIES = 3
"""How often Ray starts a cell again whose worker or node is lost."""

WAIT = 120.0
"""Seconds that a cell, started again, waits for the process of a lost node to let go of its folder."""


def run_on_ray(
    paths: Sequence[str],
    *,
    cpus: int,
    gpus: int,
    address: str,
    retry: bool,
    report: Callable[[str, Ended], None],
) -> None:
    """Carry out cells on a Ray cluster whose machines share the folder of the sweep.

    Args:
        paths: folders of the cells.
        cpus: cores of one cell.
        gpus: GPUs of one cell.
        address: address of the cluster; "auto" for the one that runs here, "local" to start one on this machine.
        retry: try again what has failed.
        report: called with (folder, how it ended) after each cell.

    Raises:
        ConfigError: no cluster answers, no node has enough for one cell, or the disk is full.
        MissingExtraError: Ray is not installed.
    """
    ray = _connect(address, cpus)
    from ray.exceptions import RayError

    try:
        _refuse_too_large(ray, cpus, gpus)
        carry_out = ray.remote(run_cell).options(num_cpus=cpus, num_gpus=gpus, max_retries=RETRIES)
        running = {carry_out.remote(path, "cuda" if gpus else "cpu", retry, WAIT): path for path in paths}
        while running:
            (ready,), _ = ray.wait(list(running), num_returns=1)
            path = running.pop(ready)
            try:
                ended = ray.get(ready)
            except RubError:  # raised by the cell, and not its fault
                raise
            except RayError as error:
                ended = lost(path, f"its worker was lost {RETRIES + 1} times ({type(error).__name__}): see `ray logs`")
            report(path, ended)
    finally:
        ray.shutdown()


def _connect(address: str, cpus: int) -> Any:
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError("ray", "sweep", "--engine ray") from error
    passed = {name: value for name, value in os.environ.items() if name.startswith(("RUB_", "HF_"))}
    passed |= {"OMP_NUM_THREADS": str(cpus), "TOKENIZERS_PARALLELISM": "false"}
    try:
        _knock(address)
        ray.init(address, runtime_env={"env_vars": passed}, log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, ValueError, RuntimeError, OSError) as error:
        raise ConfigError(
            f"no Ray cluster answers at {address!r}: start one with `ray start --head`, name another with --address, or "
            "use --engine local"
        ) from error
    return ray


def _knock(address: str) -> None:
    """Raise OSError at once if nothing listens at an address; Ray itself would try for minutes, then end the process.

    "auto" stands for $RAY_ADDRESS, or the cluster that was last started here, which may be gone.
    """
    if address == "auto":
        note = Path(tempfile.gettempdir()) / "ray" / "ray_current_cluster"
        address = os.environ.get("RAY_ADDRESS") or (note.read_text(encoding="utf-8").strip() if note.is_file() else "")
    host, colon, port = address.rpartition("://")[2].rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host, int(port)), timeout=5).close()


def _refuse_too_large(ray: Any, cpus: int, gpus: int) -> None:
    """Refuse cells that no node can take; Ray would wait for such a node without a word."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if not any(node.get("CPU", 0) >= cpus and node.get("GPU", 0) >= gpus for node in nodes):
        raise ConfigError(
            f"a cell asks for {cpus} CPUs and {gpus} GPUs, and none of the {len(nodes)} nodes has that: lower resources "
            "in the grid, or add a node"
        )
