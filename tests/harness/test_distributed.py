"""Two processes give what one gives."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

pytestmark = pytest.mark.slow

ATTACKED = """
group: local__rtn
task:
  - {task: local_choice, class: !function robust_unlearn_bench.harness.task.AttackedTask, attack: "rtn4(group_size=16)"}
  - nano_books_privleak
"""

PLAIN = """
task: local_choice
dataset_path: json
dataset_kwargs: {data_files: {test: DATA}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{question}}"
doc_to_choice: "{{choices}}"
doc_to_target: answer
metric_list: [{metric: acc, aggregation: mean, higher_is_better: true}]
"""


RANK = """
from lm_eval.__main__ import cli_evaluate
from lm_eval.models.huggingface import HFLM

prepare = HFLM.__init__

def shared(self, *args, **options):
    prepare(self, *args, **options)
    if accelerator := getattr(self, "accelerator", None):
        self._rank, self._world_size = accelerator.process_index, accelerator.num_processes

HFLM.__init__ = shared
cli_evaluate()
"""
"""lm-eval shares documents among GPUs only; this lets it share them among processes on the CPU as well."""


class Ended(NamedTuple):
    """How one process ended."""

    code: int
    log: str


@pytest.fixture
def folder(tiny_llama: Any, tiny_tokenizer: Any, tmp_path: Path) -> Path:
    """A tiny model and the tasks to measure it on."""
    tiny_llama(window=512).save_pretrained(tmp_path / "model")
    tiny_tokenizer.save_pretrained(tmp_path / "model")
    rows = [
        {"question": f"where was tower {n}", "choices": ["river", "baker", "iron"], "answer": n % 3} for n in range(7)
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "plain.yaml").write_text(PLAIN.replace("DATA", str(tmp_path / "rows.jsonl")))
    (tmp_path / "attacked.yaml").write_text(ATTACKED)
    (tmp_path / "rank.py").write_text(RANK)
    return tmp_path


def launch(folder: Path, processes: int, *options: str) -> list[Ended]:
    """Run lm-eval in so many processes, and stop them all when one takes too long."""
    command = [sys.executable, folder / "rank.py", "--tasks", "local__rtn", "--include_path", folder, "--model", "hf"]
    command += ["--model_args", f"pretrained={folder / 'model'},dtype=float32", "--log_samples", *options]
    command += ["--output_path", folder / f"out{processes}"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "RUB_ANSWERS": "off", "ACCELERATE_USE_CPU": "true"}
    running = []
    for rank in range(processes):
        place = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(processes), **address}
        log = (folder / f"{processes}-{rank}.log").open("w+")
        own = {**environment, **(place if processes > 1 else {})}
        words = [str(part) for part in command]
        running.append((subprocess.Popen(words, env=own, stdout=log, stderr=subprocess.STDOUT), log))
    try:
        codes = [process.wait(timeout=300) for process, _ in running]
    finally:
        for process, log in running:
            process.kill()
            process.wait()
            log.seek(0)
    return [Ended(code, log.read()) for code, (_, log) in zip(codes, running, strict=True)]


def results(folder: Path, processes: int) -> dict[str, Any]:
    for ended in launch(folder, processes):
        assert ended.code == 0, ended.log[-3000:]
    return dict(json.loads(next((folder / f"out{processes}").rglob("results_*.json")).read_text()))


def test_two_processes_equal_one(folder: Path) -> None:
    one, two = results(folder, 1), results(folder, 2)
    assert one["results"].keys() == two["results"].keys()
    assert one["n-samples"] == two["n-samples"]
    for task, values in one["results"].items():
        for metric, value in values.items():
            if isinstance(value, float):
                assert two["results"][task][metric] == pytest.approx(value, abs=1e-6), (task, metric)


def test_fewer_documents_than_processes_end_every_process_with_one_sentence(folder: Path) -> None:
    for ended in launch(folder, 2, "--limit", "1"):
        assert ended.code != 0
        assert "has 1 document for 2 processes, and each needs one: start fewer" in ended.log, ended.log[-3000:]
