from __future__ import annotations

import errno
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from robust_unlearn_bench.errors import AttackError, ConfigError
from robust_unlearn_bench.sweep import carry_out
from robust_unlearn_bench.sweep.carry_out import Ended, lost, run_cell
from robust_unlearn_bench.sweep.cell import Cell
from robust_unlearn_bench.sweep.cell_folder import CellFolder

RESULT = {"values": [], "seconds": {"unlearn": 1.0, "evaluate": 2.0}}


@pytest.fixture
def folder(grid: Callable[..., list[Cell]], tmp_path: Path) -> CellFolder:
    cell = grid()[0]
    made = CellFolder(tmp_path / "sweep" / "cells" / cell.key)
    made.plan(cell)
    return made


def outcome(monkeypatch: pytest.MonkeyPatch, *outcomes: Any) -> list[int]:
    """Let the attempts at cells end so, and return the list that counts them."""
    left: Iterator[Any] = iter(outcomes)
    seen: list[int] = []

    def attempt(cell: Cell, folder: Path, device: str) -> Any:
        seen.append(1)
        print("printed by the cell")
        found = next(left)
        if isinstance(found, BaseException):
            raise found
        return found

    monkeypatch.setattr(carry_out, "_carry_out", attempt)
    return seen


def events(folder: CellFolder) -> list[str]:
    return [json.loads(line)["event"] for line in (folder.path / "events.jsonl").read_text().splitlines()]


def test_a_cell_is_carried_out_once(folder: CellFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = outcome(monkeypatch, RESULT)
    assert folder.state == "pending"
    assert [run_cell(str(folder.path)) for _ in range(3)] == [Ended("done")] * 3
    assert len(seen) == 1
    assert folder.state == "done"
    assert folder.result == RESULT
    assert events(folder) == ["started", "ended"]
    assert "printed by the cell" in (folder.path / "log.txt").read_text()


def test_a_failure_is_kept_with_its_reason_and_tried_again_only_on_request(
    folder: CellFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = outcome(monkeypatch, AttackError("it ran out of memory"), ValueError("odd"), RESULT)
    failed = Ended("failed", "it ran out of memory")
    assert [run_cell(str(folder.path)) for _ in range(2)] == [failed, failed]
    assert len(seen) == 1
    assert folder.state == "failed"
    assert folder.failure is not None
    assert "AttackError" in folder.failure["traceback"]
    assert run_cell(str(folder.path), retry=True) == Ended("failed", "ValueError: odd")
    assert folder.failure["attempts"] == 2
    assert run_cell(str(folder.path), retry=True) == Ended("done")
    assert (folder.state, folder.failure) == ("done", None)
    assert events(folder) == ["started", "failed", "started", "failed", "started", "ended"]


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)"),
    ],
)
def test_a_full_disk_is_not_the_cells_fault(
    folder: CellFolder, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    outcome(monkeypatch, error, RESULT)
    with pytest.raises(ConfigError, match=r"the disk of .*sweep is full: make room and start the same sweep again"):
        run_cell(str(folder.path))
    assert folder.state == "pending"
    assert run_cell(str(folder.path)) == Ended("done")


def test_an_interrupted_cell_is_pending(folder: CellFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome(monkeypatch, KeyboardInterrupt(), RESULT)
    with pytest.raises(KeyboardInterrupt):
        run_cell(str(folder.path))
    assert folder.state == "pending"
    assert run_cell(str(folder.path)) == Ended("done")


def test_a_cell_in_another_process_is_left_to_it_until_that_process_dies(
    folder: CellFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = outcome(monkeypatch, RESULT)
    hold = (
        "import sys, time; from pathlib import Path; from robust_unlearn_bench.sweep.cell_folder import CellFolder\n"
        "with CellFolder(Path(sys.argv[1])).locked() as free:\n    print(free, flush=True); time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", hold, str(folder.path)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "True\n"
        assert folder.state == "running"
        assert run_cell(str(folder.path)) == Ended("running")
        assert lost(str(folder.path), "gone", wait=0) == Ended("running")
        assert seen == []
        other.kill()
        started = time.monotonic()
        assert run_cell(str(folder.path), wait=60) == Ended("done")
        assert time.monotonic() - started < 30


def test_a_lost_process_leaves_a_reason_unless_it_came_to_its_end(
    folder: CellFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert lost(str(folder.path), "its process was killed") == Ended("failed", "its process was killed")
    assert folder.state == "failed"
    outcome(monkeypatch, RESULT)
    run_cell(str(folder.path), retry=True)
    assert lost(str(folder.path), "its process was killed") == Ended("done")


def test_a_machine_that_does_not_see_the_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"does not see .*: choose an --out that all machines share"):
        run_cell(str(tmp_path / "elsewhere"))


def test_the_model_goes_unless_it_is_to_be_kept(
    grid: Callable[..., list[Cell]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome(monkeypatch, RESULT, RESULT)
    for keep in (False, True):
        folder = CellFolder(tmp_path / str(keep) / "cells" / "a")
        folder.plan(grid(keep_models=keep)[0])
        (folder.path / "model").mkdir()
        run_cell(str(folder.path))
        assert (folder.path / "model").is_dir() is keep
