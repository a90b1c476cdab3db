"""The grid that the documentation begins with, through the command line, with either engine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

LIMIT = 300
"""Seconds, on two cores, once the target is trained."""


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["local", "ray"])
def test_the_smoke_grid(engine: str, root: Path, tmp_path: Path) -> None:
    if engine == "ray":
        pytest.importorskip("ray", reason="Ray is not installed (extra: sweep)")
    from robust_unlearn_bench.nano.pretrain import train

    train("nano_books", "target")
    rub = [sys.executable, "-m", "robust_unlearn_bench", "sweep"]
    out = str(tmp_path / "out")
    words = [*rub, str(root / "baselines" / "grids" / "nano_smoke.yaml"), "--out", out, "--engine", engine]
    words += ["--address", "local"] if engine == "ray" else []
    environment = {**os.environ, "PYTHONPATH": str(root), "RUB_ANSWERS": "off"}

    def run(command: list[str]) -> str:
        done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=LIMIT)
        assert done.returncode == 0, done.stdout + done.stderr[-3000:]
        return done.stdout

    assert run(words).splitlines()[-1] == "4 done"
    assert "[4/4] done" in run(words)  # nothing is done again
    rows = json.loads(run([*rub, "table", out, "--json"]))
    assert {(row["recipe"], row["steps"], row["attack"]) for row in rows} == {
        (f"nano_books/npo-{optimizer}", steps, attack)
        for optimizer in ("adam", "signadam")
        for steps in (2, 4)
        for attack in ("none", "gptq4")
    }
    assert all(0 <= row["verbmem rougeL_f1"] <= 1 for row in rows)
    assert len({row["verbmem rougeL_f1"] for row in rows}) > 4
    assert not list(Path(out).glob("cells/*/model"))
    events = [path.read_text().count('"ended"') for path in Path(out).glob("cells/*/events.jsonl")]
    assert events == [1, 1, 1, 1]
