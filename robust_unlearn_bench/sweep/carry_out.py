"""One cell, from its configuration to its result or the reason why there is none."""

from __future__ import annotations

import errno
import shutil
import sys
import time
import traceback
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

from .. import __version__
from ..errors import ConfigError, RubError
from .cell import Cell
from .cell_folder import CellFolder, State

__all__ = ["Ended", "lost", "run_cell"]


class Ended(NamedTuple):
    """How a cell stands when an engine is through with it.

    Attributes:
        state: "done", "failed", or "running" if another process has it.
        reason: one sentence about a failure.
    """

    state: State
    reason: str = ""


def run_cell(path: str, device: str = "cpu", retry: bool = False, wait: float = 0.0) -> Ended:
    """Carry out a cell unless it is done, has failed before, or is in another process's hands.

    Args:
        path: folder of the cell.
        device: device to compute on.
        retry: try again what has failed.
        wait: seconds to wait for a process that has the cell.

    Raises:
        ConfigError: this machine does not see the folder, or the disk is full; neither is the cell's fault, and the
            cell keeps its state.
    """
    folder = CellFolder(Path(path))
    if not folder.path.is_dir():
        raise ConfigError(f"this machine does not see {path}: choose an --out that all machines share")
    with folder.locked(wait) as free:
        if folder.is_done:
            return Ended("done")
        if not free:
            return Ended("running")
        if (failure := folder.failure) and not retry:
            return Ended("failed", str(failure["reason"]))
        try:
            return _attempt(folder, device)
        except OSError as error:
            raise _no_room(folder.path) if _is_full(error, folder.path) else error from error


def lost(path: str, reason: str, wait: float = 10.0) -> Ended:
    """Return how a cell stands whose process is gone: done if it came to its end, failed otherwise.

    Args:
        path: folder of the cell.
        reason: what to keep as the reason.
        wait: seconds that the operating system may take to release what the process held.
    """
    folder = CellFolder(Path(path))
    with folder.locked(wait) as free:
        if folder.is_done:
            return Ended("done")
        if not free:
            return Ended("running")
        folder.fail(reason)
    return Ended("failed", reason)


def _attempt(folder: CellFolder, device: str) -> Ended:
    cell = folder.cell
    folder.note("started")
    with (folder.path / "log.txt").open("a", encoding="utf-8") as log, redirect_stdout(log), redirect_stderr(log):
        try:
            result = _carry_out(cell, folder.path, device)
        except Exception as error:  # the one place where any failure of a cell ends, whatever raised it
            if _is_full(error, folder.path):
                raise _no_room(folder.path) from error
            reason = str(error) if isinstance(error, RubError) else f"{type(error).__name__}: {error}"
            folder.fail(reason, traceback.format_exc())
            return Ended("failed", reason)
    folder.finish(result)
    if not cell.keep_model:
        shutil.rmtree(folder.path / "model", ignore_errors=True)
    return Ended("done")


def _carry_out(cell: Cell, folder: Path, device: str) -> dict[str, Any]:
    """Unlearn, evaluate, and return the content of `result.json`."""
    from ..harness.evaluate import evaluate

    started = time.perf_counter()
    model = _model(cell)
    if cell.method is not None:
        from ..unlearn.recipe import Recipe
        from ..unlearn.unlearning import unlearn

        recipe = Recipe.model_validate(cell.method)
        model = str(unlearn(recipe, model, folder / "model", reuse=True, device=device))
    unlearned = time.perf_counter()
    results = evaluate(
        "hf",
        {"pretrained": model, "dtype": cell.dtype},
        [cell.suite],
        attacks=cell.attacks,
        out=folder / "results",
        batch_size=cell.batch_size,
        device=device,
        limit=cell.limit,
    )
    return {
        "key": cell.key,
        "package": __version__,
        "values": _values(results),
        "seconds": {
            "unlearn": round(unlearned - started, 3),
            "evaluate": round(time.perf_counter() - unlearned, 3),
        },
    }


def _model(cell: Cell) -> str:
    if cell.model is not None:
        return cell.model
    from ..nano.pretrain import train

    return str(train(cell.suite, "retrain" if cell.role == "retrain" else "target"))


def _values(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return one row per attack, leaf and metric that measures forgetting or utility; undefined values are None."""
    rows = []
    for task, config in results["configs"].items():
        ours = (config.get("metadata") or {}).get("robust_unlearn_bench") or {}
        for metric, facts in ours.get("metrics", {}).items():
            if facts["role"] in ("forget", "utility"):
                value = results["results"][task].get(f"{metric},none")
                finite = isinstance(value, (int, float)) and value == value and abs(value) != float("inf")
                rows.append(
                    {
                        "attack": ours["attack"]["name"],
                        "leaf": ours["leaf"],
                        "metric": metric,
                        "role": facts["role"],
                        "value": value if finite else None,
                    }
                )
    return rows


def _is_full(error: BaseException, folder: Path) -> bool:
    """Return whether an error comes from a full disk; safetensors and torch report one in words of their own."""
    seen: BaseException | None = error
    while seen is not None:
        if getattr(seen, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or "No space left" in str(seen):
            return True
        seen = seen.__cause__ or seen.__context__
    return shutil.disk_usage(folder).free < 2**20


def _no_room(folder: Path) -> ConfigError:
    print(traceback.format_exc(), file=sys.__stderr__)
    return ConfigError(
        f"the disk of {folder.parents[1]} is full: make room and start the same sweep again; finished cells are kept"
    )
