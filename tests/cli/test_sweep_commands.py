from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from robust_unlearn_bench import cli
from robust_unlearn_bench.cli import app
from robust_unlearn_bench.sweep.carry_out import Ended
from robust_unlearn_bench.sweep.cell_folder import CellFolder

run = CliRunner().invoke
GRID = "suites: [nano_books]\nrecipes: [nano_books/npo-adam]\nseeds: [0, 1, 2]\n"


@pytest.fixture
def grid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A grid of three cells, of which the engine fails the second."""

    def run_here(paths: list[str], *, report: Callable[[str, Ended], None], **rest: object) -> None:
        for path in paths:
            folder = CellFolder(Path(path))
            if folder.cell.seed == 1:
                folder.fail("it broke")
                report(path, Ended("failed", "it broke"))
                continue
            entry = {"attack": "none", "leaf": "verbmem", "metric": "rougeL_f1", "role": "forget", "value": 0.5}
            folder.finish({"values": [entry], "seconds": {"unlearn": 1.0, "evaluate": 0.5}})
            report(path, Ended("done"))

    monkeypatch.setattr("robust_unlearn_bench.sweep.engines.local.run_here", run_here)
    monkeypatch.setattr("robust_unlearn_bench.nano.pretrain.train", lambda suite, role: Path(role))
    (tmp_path / "grid.yaml").write_text(GRID)
    return tmp_path / "grid.yaml"


def test_the_short_form_runs_a_grid_and_a_failure_is_exit_code_1(grid: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    shown = run(app, ["sweep", str(grid), "--out", out])
    assert shown.exit_code == 1
    assert "[2/3] failed: nano_books nano_books/npo-adam seed=1 none (it broke)" in shown.stdout
    assert f"2 done, 1 failed; reasons: rub sweep status {out}" in shown.stdout
    listed = run(app, ["sweep", "status", out])
    assert "2 done, 1 failed" in listed.stdout
    assert "failed: nano_books nano_books/npo-adam seed=1 none (it broke)" in listed.stdout
    states = json.loads(run(app, ["sweep", "status", out, "--json"]).stdout)
    assert [row["state"] for row in states] == ["done", "failed", "done"]
    rows = json.loads(run(app, ["sweep", "table", out, "--json"]).stdout)
    assert [row.get("verbmem rougeL_f1") for row in rows] == [0.5, None, 0.5]
    means = json.loads(run(app, ["sweep", "table", out, "--mean", "--json"]).stdout)
    assert [(row["state"], row.get("verbmem rougeL_f1")) for row in means] == [
        ("done", "0.500 ± 0.000"),
        ("failed", None),
    ]


def test_an_array_carries_out_its_part(grid: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    assert run(app, ["sweep", "run", str(grid), "--out", out, "--array", "2/2"]).exit_code == 1
    assert run(app, ["sweep", str(grid), "--out", out, "--array", "1/2"]).exit_code == 0
    assert len(list((tmp_path / "out" / "cells").iterdir())) == 3


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["absent.yaml", "--out", "out"], "rub: there is no grid file absent.yaml: give the path of a YAML file"),
        (["GRID", "--out", "out", "--array", "9/3"], "write i/n with i from 1 to n"),
        (["status", "nowhere"], "rub: nowhere is not the folder of a sweep"),
    ],
)
def test_bad_input_is_one_sentence(
    grid: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any, tmp_path: Path, words: list[str], sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["rub", "sweep", *(str(grid) if word == "GRID" else word for word in words)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert said.count("\n") == 1
