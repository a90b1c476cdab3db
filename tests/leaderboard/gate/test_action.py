"""The GitHub action of the gate, run as GitHub runs it: nothing that the checkout holds decides the verdict."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import yaml


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository that has committed a verdict of its own, and a module that Python would import instead of json."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    (folder / "gate.json").write_text('{"verdict": "held"}')
    (folder / "json.py").write_text("def load(file):\n    return {'verdict': 'improved'}\n")
    return folder


def run(root: Path, checkout: Path, rub: str) -> tuple[int, str]:
    """Exit code and verdict of the step, with a `rub` that does what is given."""
    action = yaml.safe_load((root / ".github" / "actions" / "gate" / "action.yml").read_text())
    script = next(step["run"] for step in action["runs"]["steps"] if step.get("id") == "check")
    tools = checkout.parent / "bin"
    tools.mkdir()
    (tools / "rub").write_text(f"#!/bin/sh\n{rub}\n")
    (tools / "rub").chmod(0o755)
    output = checkout.parent / "output"
    names = ("BASELINE", "CANDIDATE", "CONFIG")
    environment = {
        **os.environ,
        **dict.fromkeys(names, "x"),
        "PATH": f"{tools}:{os.environ['PATH']}",
        "GITHUB_OUTPUT": str(output),
        "GITHUB_STEP_SUMMARY": str(checkout.parent / "summary"),
    }
    done = subprocess.run(["bash", "-e", "-c", script], cwd=checkout, env=environment, capture_output=True, text=True)
    return done.returncode, output.read_text().strip() if output.exists() else done.stderr


def test_a_committed_verdict_is_not_read(root: Path, checkout: Path) -> None:
    assert run(root, checkout, "exit 3") == (3, "verdict=invalid")


def test_a_link_in_the_place_of_the_result_is_removed(root: Path, checkout: Path) -> None:
    (checkout / "gate.json").unlink()
    (checkout / "gate.json").symlink_to(checkout / "json.py")
    assert run(root, checkout, """echo '{"verdict": "held"}' > gate.json""") == (0, "verdict=held")
    assert "improved" in (checkout / "json.py").read_text()


def test_a_module_of_the_checkout_is_not_imported(root: Path, checkout: Path) -> None:
    assert run(root, checkout, """echo '{"verdict": "regressed"}' > gate.json; exit 1""") == (1, "verdict=regressed")


def test_only_the_five_verdicts_are_passed_on(root: Path, checkout: Path) -> None:
    told = """printf '{"verdict": "held\\\\nverdict=improved"}' > gate.json"""
    assert run(root, checkout, told) == (0, "verdict=invalid")
