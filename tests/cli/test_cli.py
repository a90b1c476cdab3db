from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from robust_unlearn_bench import doctor
from robust_unlearn_bench.cli import app
from robust_unlearn_bench.errors import UnknownNameError

run = CliRunner().invoke


def commands() -> list[list[str]]:
    import typer

    def walk(command: object, path: list[str]) -> list[list[str]]:
        children = getattr(command, "commands", {})
        return [path] + [found for name, child in children.items() for found in walk(child, [*path, name])]

    return walk(typer.main.get_command(app), [])


@pytest.mark.parametrize("path", commands(), ids=" ".join)
def test_every_command_has_help_and_leaf_commands_an_example(path):
    shown = run(app, [*path, "--help"])
    assert shown.exit_code == 0
    is_group = any(other[: len(path)] == path and len(other) > len(path) for other in commands())
    assert is_group or "Example" in shown.stdout


def test_paths_prints_folders_that_exist():
    for folder in ("tasks", "baselines", "leaderboard"):
        shown = run(app, ["paths", folder])
        assert Path(shown.stdout.strip()).is_dir()


def test_doctor_names_a_remedy_with_every_problem(monkeypatch, tmp_path):
    monkeypatch.setenv("RUB_DATA", str(tmp_path / "nowhere"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    shown = run(app, ["doctor", "--json"])
    checks = json.loads(shown.stdout)
    assert shown.exit_code == 1
    assert {check["what"] for check in checks} >= {"python", "torch", "lm-eval", "device", "hub", "cache"}
    assert all(check["remedy"] for check in checks if check["verdict"] == "problem")
    assert any(check["what"] == "RUB_DATA" and check["verdict"] == "problem" for check in checks)


def test_doctor_notices_an_outdated_copy_of_the_tasks(monkeypatch, tmp_path):
    from robust_unlearn_bench import doctor

    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "a" / "x.yaml").write_text("old")
    (tmp_path / "b" / "x.yaml").write_text("new")
    monkeypatch.setattr(doctor, "installed_tasks_dir", lambda: tmp_path / "a")
    monkeypatch.setattr(doctor, "source_dir", lambda name: tmp_path / "b")
    checks = list(doctor._tasks())
    assert [check.verdict for check in checks] == ["ok", "problem"]
    assert "pip install" in checks[1].remedy


def test_doctor_says_what_an_older_torch_lacks(monkeypatch):
    monkeypatch.setattr(doctor, "_installed", lambda package: {"torch": "2.8.0+cpu"}.get(package))
    found = {check.what: check for check in doctor._packages()}
    assert found["torch"].verdict == "ok"
    assert found["muon"].remedy == "pip install 'torch>=2.9'"


def test_errors_are_one_sentence_and_exit_code_two():
    code = "import sys; from robust_unlearn_bench.cli import main; sys.argv[1:] = 'attack gqtq4 --model m --out o'.split(); main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.strip().count("\n") == 0
    assert done.stderr.startswith("rub: unknown attack 'gqtq4': did you mean 'gptq4'")


def test_the_same_error_is_an_exception_for_programs():
    with pytest.raises(UnknownNameError):
        run(app, ["attack", "gqtq4", "--model", "m", "--out", "o"], catch_exceptions=False)
