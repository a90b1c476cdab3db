from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from robust_unlearn_bench.errors import ConfigError
from robust_unlearn_bench.sweep.carry_out import Ended
from robust_unlearn_bench.sweep.cell import Cell
from robust_unlearn_bench.sweep.cell_folder import CellFolder
from robust_unlearn_bench.sweep.sweep_folder import array_part, open_sweep, run_sweep, status
from robust_unlearn_bench.sweep.sweep_table import over_seeds, table_rows

Load = Callable[..., list[Cell]]


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """An engine that fails every second cell at its first attempt; the list gets every cell that it is given."""
    given: list[str] = []

    def run_here(paths: list[str], *, retry: bool, report: Callable[[str, Ended], None], **rest: object) -> None:
        for i, path in enumerate(paths):
            given.append(path)
            folder = CellFolder(Path(path))
            if i % 2 and not retry:
                folder.fail("it broke")
                report(path, Ended("failed", "it broke"))
            else:
                value = 0.25 + 0.5 * (folder.cell.seed or 0)
                entry = {"attack": "none", "leaf": "verbmem", "metric": "rougeL_f1", "role": "forget", "value": value}
                folder.finish({"values": [entry], "seconds": {"unlearn": 1.0, "evaluate": 0.5}})
                report(path, Ended("done"))

    monkeypatch.setattr("robust_unlearn_bench.sweep.engines.local.run_here", run_here)
    monkeypatch.setattr("robust_unlearn_bench.nano.pretrain.train", lambda suite, role: Path(role))
    return given


def test_a_sweep_goes_on_where_it_was_and_drops_nothing(grid: Load, engine: list[str], tmp_path: Path) -> None:
    cells, out = grid(seeds=[0, 1, 2, 3]), tmp_path / "out"
    assert run_sweep(cells, out) == Counter(done=2, failed=2)
    assert Counter(s.state for s in status(out)) == Counter(done=2, failed=2)
    assert {s.reason for s in status(out) if s.state == "failed"} == {"it broke"}
    assert len(engine) == 4
    seen: list[tuple[str, Ended]] = []
    assert run_sweep(cells, out, report=lambda title, ended: seen.append((title, ended))) == Counter(done=2, failed=2)
    assert len(engine) == 4
    assert len(seen) == 4
    assert run_sweep(cells, out, retry=True) == Counter(done=4)
    assert len(engine) == 6
    assert Counter(engine).most_common(1)[0][1] == 2
    more = grid(seeds=[0, 1, 2, 3, 4])
    assert run_sweep(more, out) == Counter(done=5)
    assert len(engine) == 7


def test_the_table_has_a_row_for_every_cell(grid: Load, engine: list[str], tmp_path: Path) -> None:
    run_sweep(grid(parameters={"steps": [2]}), tmp_path / "out")
    rows = table_rows(status(tmp_path / "out"))
    head = {"suite": "nano_books", "recipe": "nano_books/npo-adam", "steps": 2, "attack": "none"}
    assert rows == [
        {**head, "seed": 0, "state": "done", "verbmem rougeL_f1": 0.25, "seconds": 1.5},
        {**head, "seed": 1, "state": "failed", "reason": "it broke"},
    ]
    run_sweep(grid(parameters={"steps": [2]}), tmp_path / "out", retry=True)
    (merged,) = over_seeds(table_rows(status(tmp_path / "out")))
    assert merged == {**head, "state": "done", "seeds": 2, "verbmem rougeL_f1": "0.500 ± 0.354"}


def test_failed_cells_stay_in_the_table_of_means(grid: Load, engine: list[str], tmp_path: Path) -> None:
    run_sweep(grid(), tmp_path / "out")
    assert [row["state"] for row in over_seeds(table_rows(status(tmp_path / "out")))] == ["done", "failed"]


@pytest.mark.parametrize("n", [1, 2, 3, 7])
def test_the_parts_of_an_array_are_all_cells_once(grid: Load, n: int) -> None:
    cells = grid(seeds=[0, 1, 2, 3, 4])
    parts = [array_part(cells, f"{i}/{n}") for i in range(1, n + 1)]
    assert sorted(cell.key for part in parts for cell in part) == sorted(cell.key for cell in cells)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize("part", ["0/3", "4/3", "1", "a/b", "1/0", "-1/3"])
def test_parts_that_cannot_be_read(grid: Load, part: str) -> None:
    with pytest.raises(ConfigError, match=r"write i/n with i from 1 to n, such as 3/8"):
        array_part(grid(), part)


def test_folders_that_are_no_sweeps(grid: Load, engine: list[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="is a file"):
        run_sweep(grid(), tmp_path / "file")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("")
    with pytest.raises(ConfigError, match="holds other files: choose a new folder"):
        run_sweep(grid(), tmp_path / "other")
    for absent in ("absent", "other"):
        with pytest.raises(ConfigError, match="is not the folder of a sweep"):
            status(tmp_path / absent)
    assert engine == []


def test_a_sweep_of_another_version_is_left_alone(grid: Load, engine: list[str], tmp_path: Path) -> None:
    run_sweep(grid(), tmp_path / "out")
    card = tmp_path / "out" / "sweep.json"
    card.write_text(json.dumps({**json.loads(card.read_text()), "package": "0.0.9"}))
    for use in (lambda: run_sweep(grid(), tmp_path / "out"), lambda: status(tmp_path / "out")):
        with pytest.raises(ConfigError, match=r"was begun with version 0\.0\.9 .*: choose another --out"):
            use()
    assert len(engine) == 2


def test_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, content: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("robust_unlearn_bench.sweep.sweep_folder.write_json", full)
    with pytest.raises(ConfigError, match=r"cannot be written to \(No space left on device\)"):
        open_sweep(tmp_path / "out", create=True)
