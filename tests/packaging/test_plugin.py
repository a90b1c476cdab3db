"""A distribution of somebody else's, installed from a wheel: it adds one of everything, and every command finds it."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fixtures.environments import build, install, sh

EXAMPLE = Path(__file__).resolve().parent.parent / "plugin_example"


@pytest.fixture
def model(tiny_llama: Callable[..., Any], tiny_tokenizer: Any, tmp_path: Path) -> Path:
    tiny_llama(window=256).save_pretrained(tmp_path / "model")
    tiny_tokenizer.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def environment(source: Path, python: Path, tmp_path: Path) -> Path:
    """The interpreter of an environment with our wheel and the example's."""
    install(python, build(source, tmp_path / "dist", "wheel"))
    install(python, build(shutil.copytree(EXAMPLE, tmp_path / "example"), tmp_path / "theirs", "wheel"))
    return python


def results(out: Path) -> Any:
    return json.loads(next(out.rglob("results_*.json")).read_text())


@pytest.mark.slow
def test_one_of_everything_from_a_wheel(environment: Path, model: Path, tmp_path: Path) -> None:
    rub = [environment, "-m", "robust_unlearn_bench"]
    quiet = {"RUB_CACHE": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}

    told = sh(*rub, "doctor", cwd=tmp_path, **quiet)
    for brought in ("attack shrink", "metric word_recall", "objective entropy", "optimizer momentum", "suite shelf"):
        assert f"ok      {brought}: rub-shelf 0.3" in told

    assert "shelf_robust" in sh(environment, "-m", "lm_eval", "ls", "groups", cwd=tmp_path, **quiet)
    words = [environment, "-m", "lm_eval", "--tasks", "shelf_robust", "--model", "hf", "--device", "cpu"]
    sh(*words, "--model_args", f"pretrained={model},dtype=float32", "--output_path", "lm", cwd=tmp_path, **quiet)
    found = results(tmp_path / "lm")["results"]
    names = ("knowmem_forget", "knowmem_retain", "extraction")
    wanted = {f"shelf_{name}{attack}" for name in names for attack in ("", "__shrink10", "__relearn2")}
    assert wanted <= set(found)

    asked = ["nano_books_verbmem", "--model", model, "--attacks", "none shrink100", "--metrics", "word_recall"]
    sh(*rub, "eval", *asked, "--limit", "3", "--out", "rub", cwd=tmp_path, **quiet)
    shrunk = results(tmp_path / "rub")
    assert shrunk["results"]["nano_books_verbmem__shrink100"]["word_recall,none"] == 0.0
    report = shrunk["configs"]["nano_books_verbmem__shrink100"]["metadata"]["robust_unlearn_bench"]["attack"]
    assert report["config"] == [{"attack": "shrink", "version": 1, "percent": 100}]

    assert "shelf/entropy-momentum" in sh(*rub, "recipes", cwd=tmp_path, **quiet)
    sh(*rub, "unlearn", "shelf/entropy-momentum", "--model", model, "--out", "unlearned", cwd=tmp_path, **quiet)
    card = json.loads((tmp_path / "unlearned" / "unlearning.json").read_text())
    assert (card["objective"], card["optimizer"], card["grade"], card["steps"]) == ("entropy", "momentum", "first", 3)


@pytest.mark.slow
def test_a_broken_distribution_is_named_and_the_rest_works(environment: Path, model: Path, tmp_path: Path) -> None:
    rub = [environment, "-m", "robust_unlearn_bench"]
    quiet = {"RUB_CACHE": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
    installed = next((tmp_path / "env").glob("lib/python*/site-packages/rub_shelf"))
    (installed / "attack.py").write_text("import no_such_module\n")
    info = next(installed.parent.glob("rub_shelf-*.dist-info")) / "entry_points.txt"
    info.write_text(info.read_text().replace("momentum =", "adam ="))

    told = sh(*rub, "doctor", cwd=tmp_path, code=1, **quiet)
    assert "PROBLEM plug-in: attack 'shrink' of rub-shelf 0.3 cannot be used: importing rub_shelf.attack raised" in told
    assert "optimizer 'adam' of rub-shelf 0.3 cannot be used: the name is taken by robust-unlearn-bench" in told
    assert "ok      suite shelf: rub-shelf 0.3" in told
    sh(
        *rub,
        "eval",
        "nano_books_extraction",
        "--model",
        model,
        "--attacks",
        "none rtn4(group_size=16)",
        "--limit",
        "2",
        cwd=tmp_path,
        **quiet,
    )
    sh(*rub, "eval", "nano_books_extraction", "--model", model, "--attacks", "shrink10", cwd=tmp_path, code=2, **quiet)


def test_the_examples_tasks_are_in_sync(tmp_path: Path, root: Path) -> None:
    write = "from robust_unlearn_bench.harness.task_yaml import task_files, write_files; from pathlib import Path; "
    write += "import sys, rub_shelf.attack, rub_shelf.suite; write_files(Path(sys.argv[1]), task_files(['shelf']))"
    path = f"{root}{os.pathsep}{EXAMPLE}"
    sh(sys.executable, "-c", write, tmp_path, cwd=tmp_path, PYTHONPATH=path)
    written, shipped = (
        {file.relative_to(folder).as_posix(): file.read_text() for file in folder.rglob("*.yaml")}
        for folder in (tmp_path, EXAMPLE / "tasks")
    )
    assert written == shipped
