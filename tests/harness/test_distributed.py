"""Two processes give what one gives."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

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


def results(folder: Path, launcher: list[str]) -> dict[str, Any]:
    out = folder / f"out{len(launcher)}"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "RUB_ANSWERS": "off", "RUB_CACHE": str(folder / "cache")}
    command = [*launcher, "-m", "lm_eval", "--tasks", "local__rtn", "--include_path", folder, "--model", "hf"]
    command += ["--model_args", f"pretrained={folder / 'model'},dtype=float32", "--output_path", out, "--log_samples"]
    done = subprocess.run([str(part) for part in command], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(json.loads(next(out.rglob("results_*.json")).read_text()))


def test_two_processes_equal_one(tiny_llama, tiny_tokenizer, tmp_path):
    tiny_llama(window=512).save_pretrained(tmp_path / "model")
    tiny_tokenizer.save_pretrained(tmp_path / "model")
    rows = [
        {"question": f"where was tower {n}", "choices": ["river", "baker", "iron"], "answer": n % 3} for n in range(7)
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "plain.yaml").write_text(PLAIN.replace("DATA", str(tmp_path / "rows.jsonl")))
    (tmp_path / "attacked.yaml").write_text(ATTACKED)
    one = results(tmp_path, [sys.executable])
    two = results(tmp_path, [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2"])
    assert one["results"].keys() == two["results"].keys()
    for task, values in one["results"].items():
        for metric, value in values.items():
            if isinstance(value, float):
                assert two["results"][task][metric] == pytest.approx(value, abs=1e-6), (task, metric)
