"""The command that users type, for every suite on a mirror: one run, every leaf under every standard attack."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from robust_unlearn_bench.suites import SUITES

SUITES_ON_A_MIRROR = [
    name for name in SUITES if not name.startswith("nano_") and SUITES[name].series in ("", "muse_news_sust")
]
"""Of MUSE's two series one is enough: they differ in nothing but the name of the forget set."""


@pytest.mark.slow
def test_every_robust_group_from_the_command_line(
    mirror: Path, tiny_llama: Any, tiny_tokenizer: Any, tmp_path: Path
) -> None:
    model = tmp_path / "model"
    tiny_llama(window=512).save_pretrained(model)
    tiny_tokenizer.save_pretrained(model)
    groups = ",".join(f"{name}_robust" for name in SUITES_ON_A_MIRROR)
    words = [sys.executable, "-m", "lm_eval", "--tasks", groups, "--model", "hf", "--device", "cpu"]
    words += ["--model_args", f"pretrained={model},dtype=float32", "--output_path", str(tmp_path / "out")]
    environment = {**os.environ, "RUB_DATA": str(mirror), "RUB_CACHE": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "1"}
    run = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-2000:]
    (written,) = (tmp_path / "out").rglob("results_*.json")
    told = json.loads(written.read_text(encoding="utf-8"))
    for name in SUITES_ON_A_MIRROR:
        suite = SUITES[name]
        for attack in suite.attacks:
            for leaf in suite.under(attack):
                task = f"{name}_{leaf.name}" + ("" if attack == "none" else f"__{attack}")
                for metric in leaf.metrics:
                    value = told["results"][task][f"{metric.name},none"]
                    assert math.isfinite(value), (task, metric.name)
                    assert told["higher_is_better"][task][metric.name] is metric.higher_is_better
                assert told["configs"][task]["metadata"]["robust_unlearn_bench"]["attack"]["name"] == attack
