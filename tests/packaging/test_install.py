"""The package as users install it: editable, wheel, and wheel built from the sdist, each in a throw-away environment."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from fixtures.environments import build, install, sh

pytestmark = pytest.mark.slow
pytest.importorskip("hatchling", reason="building needs hatchling (extra: dev)")

GROUPS = ("muse_books_robust", "tofu_forget10_robust", "nano_books_robust")
ASK = f"""
from lm_eval.tasks import TaskManager
manager = TaskManager()
missing = [name for name in {GROUPS!r} if name not in manager.all_groups]
assert not missing, missing
from robust_unlearn_bench.paths import baselines_dir, leaderboard_dir, tasks_dir
assert list(tasks_dir().rglob("*.yaml")) and list(baselines_dir().rglob("*.yaml")) and leaderboard_dir().is_dir()
from robust_unlearn_bench.suites import SUITES
suite = SUITES["nano_books"]
assert suite.leaf("verbmem").docs(suite.source(None))
"""


def test_wheel_and_uninstall(source: Path, python: Path, tmp_path: Path) -> None:
    install(python, build(source, tmp_path / "dist", "wheel"))
    sh(python, "-c", ASK, cwd=tmp_path)
    assert "nano_books_robust" in sh(python, "-m", "lm_eval", "ls", "groups", cwd=tmp_path)
    sh(python, "-m", "pip", "uninstall", "-q", "-y", "robust-unlearn-bench")
    assert not list(python.parents[1].glob("lib/python*/site-packages/lm_eval/tasks/robust_unlearn_bench/**/*.yaml"))


def test_wheel_from_sdist(source: Path, python: Path, tmp_path: Path) -> None:
    archive = build(source, tmp_path / "sdist", "sdist")
    shutil.unpack_archive(archive, tmp_path / "unpacked", "gztar")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    install(python, build(unpacked, tmp_path / "dist", "wheel"))
    sh(python, "-c", ASK, cwd=tmp_path)


def test_editable(source: Path, python: Path, tmp_path: Path) -> None:
    install(python, "-e", source)
    sh(python, "-c", ASK, cwd=tmp_path)
