"""The folder of a sweep: `sweep.json`, and one folder per cell in `cells/`, named by the cell's key."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from .. import __version__
from ..errors import ConfigError
from .carry_out import Ended
from .cell import FORMAT, Cell
from .cell_folder import CellFolder, State, write_json

__all__ = ["CellStatus", "Engine", "array_part", "open_sweep", "run_sweep", "status"]

Engine = Literal["local", "ray"]
Report = Callable[[str, Ended], None]


class CellStatus(NamedTuple):
    """How one cell of a sweep stands."""

    folder: CellFolder
    cell: Cell
    state: State
    reason: str


def open_sweep(out: Path, *, create: bool = False) -> Path:
    """Return the folder of cells of a sweep.

    Args:
        out: folder of the sweep.
        create: make it unless it exists.

    Raises:
        ConfigError: it is a file, holds something else, or was begun by another version.
    """
    card = out / "sweep.json"
    if out.exists() and not out.is_dir():
        raise ConfigError(f"{out} is a file: --out names a folder")
    if not card.is_file():
        if not create:
            raise ConfigError(f"{out} is not the folder of a sweep: give the --out of `rub sweep`")
        if out.is_dir() and any(out.iterdir()):
            raise ConfigError(f"{out} holds other files: choose a new folder for --out")
        try:
            (out / "cells").mkdir(parents=True, exist_ok=True)
            write_json(card, _version())
        except OSError as error:
            raise ConfigError(f"{out} cannot be written to ({error.strerror}): choose another --out") from error
    begun: dict[str, Any] = json.loads(card.read_text(encoding="utf-8"))
    if begun != _version():
        raise ConfigError(
            f"{out} was begun with version {begun.get('package')} (format {begun.get('format')}), and this is version "
            f"{__version__} (format {FORMAT}): choose another --out, or install that version"
        )
    return out / "cells"


def _version() -> dict[str, Any]:
    return {"format": FORMAT, "package": __version__}


def array_part(cells: Sequence[Cell], part: str | None) -> list[Cell]:
    """Return the cells of one job of an array: every n-th, so that each job gets some of every recipe.

    Args:
        cells: all cells.
        part: "i/n" with i from 1 to n, or None for all cells.

    Raises:
        ConfigError: the part cannot be read.
    """
    if part is None:
        return list(cells)
    read = re.fullmatch(r"(\d+)/(\d+)", part)
    i, n = (int(read[1]), int(read[2])) if read else (0, 0)
    if not 1 <= i <= n:
        raise ConfigError(f"--array {part!r} cannot be read: write i/n with i from 1 to n, such as 3/8")
    return list(cells[i - 1 :: n])


def run_sweep(
    cells: Sequence[Cell],
    out: Path,
    *,
    engine: Engine = "local",
    workers: int | None = None,
    address: str = "auto",
    retry: bool = False,
    report: Report = lambda title, ended: None,
) -> Counter[State]:
    """Carry out cells, and return how many stand where.

    Args:
        cells: cells of a grid.
        out: folder of the sweep.
        engine: "local" or "ray".
        workers: most cells at a time with the local engine; None for as many as there is room for.
        address: address of the Ray cluster.
        retry: try again what has failed.
        report: called with (cell in words, how it ended) after each cell.

    Raises:
        ConfigError: the folder is no sweep's, a cell asks for more than there is, or the disk is full.
        MissingExtraError: Ray is not installed.
    """
    home = open_sweep(out, create=True).resolve()
    todo: dict[str, Cell] = {}
    ends: Counter[State] = Counter()
    for cell in cells:
        folder = CellFolder(home / cell.key)
        folder.plan(cell)
        if folder.is_done or ((failure := folder.failure) and not retry):
            ended = Ended("done") if folder.is_done else Ended("failed", str(failure["reason"] if failure else ""))
            ends[ended.state] += 1
            report(cell.title, ended)
        else:
            todo[str(folder.path)] = cell

    def count(path: str, ended: Ended) -> None:
        ends[ended.state] += 1
        report(todo[path].title, ended)

    if not todo:
        return ends
    needs = {"cpus": max(cell.cpus for cell in todo.values()), "gpus": max(cell.gpus for cell in todo.values())}
    if engine == "ray":
        from .engines.ray_cluster import run_on_ray

        run_on_ray(list(todo), **needs, address=address, retry=retry, report=count)
    else:
        from .engines.local import run_here

        _train_embedded(todo.values())
        run_here(list(todo), **needs, workers=workers, retry=retry, report=count)
    return ends


def _train_embedded(cells: Any) -> None:
    """Train the models that several cells start from, once, before they all do."""
    wanted = {(c.suite, "retrain" if c.role == "retrain" else "target") for c in cells if c.model is None}
    for suite, role in sorted(wanted):
        from ..nano.pretrain import train

        train(suite, role)  # type: ignore[arg-type]  # one of the two roles


def status(out: Path) -> list[CellStatus]:
    """Return how every cell of a sweep stands, in the order of their titles.

    Raises:
        ConfigError: the folder is no sweep's, or of another version.
    """
    found = []
    for path in open_sweep(out).iterdir():
        if (path / "cell.json").is_file():
            folder = CellFolder(path)
            reason = str((folder.failure or {}).get("reason", ""))
            found.append(CellStatus(folder, folder.cell, folder.state, reason))
    return sorted(found, key=lambda status: status.cell.title)
