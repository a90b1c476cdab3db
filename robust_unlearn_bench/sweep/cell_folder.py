"""State of a cell on disk.

cell.json      the configuration
lock           held by the process that runs the cell; the operating system releases it when that process ends
log.txt        what the cell printed
events.jsonl   one line for each start and each end
model/         the unlearned model, removed after the evaluation unless it is to be kept
results/       output of lm-eval, from which `rub record` makes a record
result.json    the values; written last, and only once
failure.json   reason of the last attempt, until one succeeds
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from .cell import Cell

__all__ = ["CellFolder", "State", "write_json"]

State = Literal["pending", "running", "failed", "done"]


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file as a whole or not at all."""
    part = path.with_name(f".{path.name}.{platform.node()}.{os.getpid()}")
    try:
        part.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


class CellFolder:
    """Folder of one cell.

    Args:
        path: the folder, named by the cell's key.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def cell(self) -> Cell:
        """The configuration."""
        return Cell.from_json(json.loads((self.path / "cell.json").read_text(encoding="utf-8")))

    @property
    def result(self) -> dict[str, Any] | None:
        """What the cell gave, or None."""
        return self._read("result.json")

    @property
    def failure(self) -> dict[str, Any] | None:
        """Why the last attempt failed, or None."""
        return None if self.is_done else self._read("failure.json")

    @property
    def is_done(self) -> bool:
        """Whether there is a result."""
        return (self.path / "result.json").is_file()

    @property
    def state(self) -> State:
        """Where the cell stands now."""
        if self.is_done:
            return "done"
        with self.locked() as free:
            if not free:
                return "running"
        return "failed" if self.failure else "pending"

    @contextmanager
    def locked(self, wait: float = 0.0) -> Iterator[bool]:
        """Hold the cell; yield False if another process still holds it after `wait` seconds.

        The lock is `flock`'s, so that it ends with its process, killed or not; on NFS it holds across machines.
        """
        from filelock import FileLock, Timeout

        lock = FileLock(self.path / "lock", timeout=wait)
        try:
            lock.acquire()
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            lock.release()

    def plan(self, cell: Cell) -> None:
        """Write the configuration unless it stands there."""
        self.path.mkdir(parents=True, exist_ok=True)
        content = json.loads(json.dumps(cell.to_json()))
        if self._read("cell.json") != content:
            write_json(self.path / "cell.json", content)

    def note(self, event: str) -> None:
        """Add a line to `events.jsonl`."""
        line = {"event": event, "time": time.time(), "host": platform.node(), "pid": os.getpid()}
        with (self.path / "events.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")

    def fail(self, reason: str, trace: str = "") -> None:
        """Keep the reason of a failed attempt."""
        attempts = (self.failure or {}).get("attempts", 0) + 1
        write_json(self.path / "failure.json", {"reason": reason, "attempts": attempts, "traceback": trace})
        self.note("failed")

    def finish(self, result: Mapping[str, Any]) -> None:
        """Keep the result; the cell is done."""
        write_json(self.path / "result.json", result)
        (self.path / "failure.json").unlink(missing_ok=True)
        self.note("ended")

    def _read(self, name: str) -> dict[str, Any] | None:
        path = self.path / name
        if not path.is_file():
            return None
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return content
