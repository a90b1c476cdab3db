from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from fixtures import dying_cells

from robust_unlearn_bench.errors import ConfigError
from robust_unlearn_bench.sweep.carry_out import Ended
from robust_unlearn_bench.sweep.cell import Cell
from robust_unlearn_bench.sweep.cell_folder import CellFolder
from robust_unlearn_bench.sweep.engines import local


def test_slots_share_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {2, 3, 5, 7, 8}, raising=False)
    monkeypatch.setattr(local, "_gpus", lambda: 3)
    assert [slot.cores for slot in local.slots(2, 0)] == [(2, 3), (5, 7)]
    assert local.slots(1, 1) == [local.Slot((2,), (0,)), local.Slot((3,), (1,)), local.Slot((5,), (2,))]
    assert local.slots(1, 2) == [local.Slot((2,), (0, 1))]
    assert len(local.slots(1, 0, workers=3)) == 3
    for wanted in ((6, 0), (1, 4)):
        with pytest.raises(
            ConfigError, match=r"asks for . CPUs and . GPUs, and 5 and . are free here: lower resources"
        ):
            local.slots(*wanted)


def test_a_process_that_is_killed_costs_one_cell(
    grid: Callable[..., list[Cell]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "run_cell", dying_cells.kills_itself_once)
    folders = []
    for cell in grid(seeds=[0, 1, 2, 3]):
        folders.append(CellFolder(tmp_path / "cells" / cell.key))
        folders[-1].plan(cell)
    (folders[0].path / "deadly").touch()
    ends: dict[str, Ended] = {}
    paths = [str(folder.path) for folder in folders]
    local.run_here(paths, cpus=1, gpus=0, workers=2, retry=False, report=ends.__setitem__)
    assert set(ends) == set(paths)
    assert ends.pop(paths[0]) == Ended("failed", local.DIED)
    assert set(ends.values()) == {Ended("done")}
    assert [folder.state for folder in folders] == ["failed", "done", "done", "done"]
    results = [folder.result for folder in folders if folder.result]
    assert {result["threads"] for result in results} == {"1"}
    if hasattr(os, "sched_getaffinity"):
        assert all(len(result["cores"]) == 1 for result in results)
    assert os.getpid() not in {result["pid"] for result in results}


def test_an_error_that_is_not_a_cells_stops_the_sweep(tmp_path: Path) -> None:
    ends: dict[str, Ended] = {}
    absent = [str(tmp_path / name) for name in "abc"]
    with pytest.raises(ConfigError, match="does not see"):
        local.run_here(absent, cpus=1, gpus=0, workers=1, retry=False, report=ends.__setitem__)
    assert ends == {}
