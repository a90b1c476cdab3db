"""The oldest and the newest supported lm-eval, each in an environment of its own: same command, same numbers."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fixtures.environments import build, install, sh

from robust_unlearn_bench.suites import SUITES

pytestmark = pytest.mark.slow
pytest.importorskip("hatchling", reason="building needs hatchling (extra: dev)")

OTHERS = ("0.4.12", "0.5.0.dev1")


@pytest.fixture
def model(tiny_llama: Callable[..., Any], tiny_tokenizer: Any, tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    tiny_llama(window=512).save_pretrained(folder)
    tiny_tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def choice(tmp_path: Path) -> Path:
    """A task of lm-eval's own kind under an attack."""
    rows = [
        {"question": f"where was tower {n}", "choices": ["river", "baker", "iron"], "answer": n % 3} for n in range(9)
    ]
    data = tmp_path / "rows.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    folder = tmp_path / "yaml"
    folder.mkdir()
    (folder / "choice.yaml").write_text(
        f"task: choice\ndataset_path: json\ndataset_kwargs: {{data_files: {{test: {data}}}}}\ntest_split: test\n"
        'output_type: multiple_choice\ndoc_to_text: "{{question}}"\ndoc_to_choice: "{{choices}}"\ndoc_to_target: answer\n'
        "metric_list: [{metric: acc, aggregation: mean, higher_is_better: true}]\n"
    )
    (folder / "attacked.yaml").write_text(
        "group: choice__attacked\ntask:\n  - {task: choice, "
        'class: !function robust_unlearn_bench.harness.task.AttackedTask, attack: "rtn2(group_size=16)"}\n'
    )
    return folder


def other(python: Path, version: str) -> None:
    """Exchange the environment's lm-eval for another version, or skip where the index has no answer."""
    folder = next(python.parents[1].glob("lib/python*/site-packages"))
    shutil.rmtree(folder / "lm_eval")
    for info in folder.glob("lm_eval-*.dist-info"):
        shutil.rmtree(info)
    words = ["-m", "pip", "install", "-q", "--no-deps", "--disable-pip-version-check", f"lm-eval=={version}"]
    done = subprocess.run([str(python), *words], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"pip cannot install lm-eval {version}: {done.stderr.strip().splitlines()[-1]}")


def evaluate(python: Path, model: Path, choice: Path, out: Path) -> dict[str, Any]:
    words = [
        python,
        "-m",
        "lm_eval",
        "run",
        "--tasks",
        "nano_books,nano_books__gptq4,choice,choice__attacked",
        "--limit",
        "8",
    ]
    words += ["--include_path", choice, "--model", "hf", "--device", "cpu"]
    words += ["--model_args", f"pretrained={model},dtype=float32", "--output_path", out, "--log_samples"]
    quiet = {"RUB_CACHE": str(out / "cache"), "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    sh(*words, cwd=out.parent, **quiet)
    return dict(json.loads(next(out.rglob("results_*.json")).read_text()))


def numbers(results: dict[str, Any]) -> dict[tuple[str, str], Any]:
    return {(task, key): value for task, row in results["results"].items() for key, value in row.items() if "," in key}


def test_the_same_numbers_and_files(source: Path, python: Path, model: Path, choice: Path, tmp_path: Path) -> None:
    wheel = build(source, tmp_path / "dist", "wheel")
    install(python, wheel)
    ours = evaluate(python, model, choice, tmp_path / "ours")
    digest = next(task for task in ours["results"] if task.startswith("choice__rtn2@"))
    leaves = [f"nano_books_{leaf.name}" for leaf in SUITES["nano_books"].leaves]
    wanted = {leaf + attack for leaf in leaves for attack in ("", "__gptq4")}
    assert {task for task, _ in numbers(ours)} == {*wanted, "choice", digest}
    for version in OTHERS:
        other(python, version)
        install(python, "--force-reinstall", wheel)
        theirs = evaluate(python, model, choice, tmp_path / version)
        assert theirs["lm_eval_version"] == version
        assert numbers(theirs) == numbers(ours), version
        for key in ("n-samples", "higher_is_better", "versions", "group_subtasks"):
            assert theirs[key] == ours[key], (version, key)
        assert logged(tmp_path / version) == logged(tmp_path / "ours"), version


def logged(out: Path) -> list[str]:
    """Names of the per-document logs without the time, and their numbers of lines."""
    return sorted(
        f"{re.sub(r'_[0-9]{4}-.*', '', file.name)} {len(file.read_text().splitlines())}"
        for file in out.rglob("samples_*.jsonl")
    )
