"""A run that is killed between two attacks and started again ends with the same numbers, and repeats nothing."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name != "posix", reason="kills a process")]

GROUP = """
group: nano_books__several
task:
  - {group: nano_a, task: [{task: nano_books_extraction, attack: none}]}
  - {group: nano_b, task: [{task: nano_books_extraction, attack: "rtn4(group_size=16)"}]}
  - {group: nano_c, task: [{task: nano_books_extraction, attack: "relearn2(lr=0.01,window=64)"}]}
  - {group: nano_d, task: [{task: nano_books_extraction, attack: relearn_const1}]}
  - {group: nano_e, task: [{task: nano_books_extraction, attack: relearn_const2}]}
"""

STOPS_AFTER_RTN = """
import sys, time
from lm_eval.__main__ import cli_evaluate
from robust_unlearn_bench.harness.cached_answers import Recall

keep = Recall.keep

def keep_and_tell(self, instances, *rest):
    keep(self, instances, *rest)
    name = instances[0].rub.plan.name
    print("kept", name, file=sys.stderr, flush=True)
    if name.startswith("rtn4"):
        time.sleep(600)

Recall.keep = keep_and_tell
cli_evaluate()
"""

TIMES = re.compile(r"seconds|date|time|peak_memory|env_info")
"""Entries that name a time, the memory of a process, or the state of the machine (lscpu tells the present clock)."""


def options(folder: Path, out: str) -> list[str]:
    chosen = ["--model", "hf", "--model_args", f"pretrained={folder / 'model'},dtype=float32", "--device", "cpu"]
    where = ["--include_path", folder, "--output_path", folder / out, "--log_samples"]
    return [str(word) for word in ("--tasks", "nano_books__several", *chosen, *where)]


def without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_times(entry) for key, entry in value.items() if not TIMES.search(key)}
    return [without_times(entry) for entry in value] if isinstance(value, list) else value


def written(folder: Path, out: str) -> tuple[str, list[str]]:
    """The results without times, and the samples, as text."""
    results = json.loads(next((folder / out).rglob("results_*.json")).read_text())
    text = json.dumps(without_times(results)).replace(str(folder / out), "OUT")
    return text, [file.read_text() for file in sorted((folder / out).rglob("samples_*.jsonl"))]


def test_a_killed_run_goes_on_where_it_was(tiny_llama: Any, tiny_tokenizer: Any, tmp_path: Path) -> None:
    tiny_llama(window=512).save_pretrained(tmp_path / "model")
    tiny_tokenizer.save_pretrained(tmp_path / "model")
    (tmp_path / "several.yaml").write_text(GROUP)
    (tmp_path / "stops.py").write_text(STOPS_AFTER_RTN)

    def environment(cache: str) -> dict[str, str]:
        return {**os.environ, "OMP_NUM_THREADS": "1", "RUB_ANSWERS": "on", "RUB_CACHE": str(tmp_path / cache)}

    def run(out: str, cache: str) -> None:
        words = [sys.executable, "-m", "lm_eval", *options(tmp_path, out)]
        done = subprocess.run(words, env=environment(cache), cwd=tmp_path, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr[-3000:]

    run("whole", cache="one")
    log = tmp_path / "killed.log"
    with log.open("w") as stream:
        words = [sys.executable, str(tmp_path / "stops.py"), *options(tmp_path, "killed")]
        process = subprocess.Popen(words, cwd=tmp_path, env=environment("two"), stdout=stream, stderr=stream)
        deadline = time.monotonic() + 300
        while "kept rtn4" not in log.read_text() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.1)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert re.findall(r"kept (\w+)", log.read_text()) == ["none", "rtn4"], log.read_text()[-3000:]
    assert not list((tmp_path / "killed").rglob("results_*.json"))
    run("again", cache="two")
    assert written(tmp_path, "again") == written(tmp_path, "whole")
