"""A new user's way: from a model folder to a record with one command, to a row on the page, to a gate in CI.

The models are tiny ones that are made here, in seconds; the suite is the smallest, whole and under all its attacks.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from robust_unlearn_bench.cli import app
from robust_unlearn_bench.leaderboard.page.row_view import page_name
from robust_unlearn_bench.leaderboard.record.entry import load
from robust_unlearn_bench.suites import SUITES

pytestmark = pytest.mark.slow

SUITE = "nano_wmdp"


def rub(*words: object, code: int = 0) -> str:
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == code, (done.output, done.exception)
    return done.stdout


def study(folder: Path, exams: tuple[str, ...], seed: int) -> Path:
    """A small model that knows the letters of these exams by heart."""
    from robust_unlearn_bench.models import checkpoint as checkpoints
    from robust_unlearn_bench.nano.pretrain import Shape, _blank
    from robust_unlearn_bench.suites.nano_exams import drills
    from robust_unlearn_bench.training.finetune import FinetuneConfig, finetune
    from robust_unlearn_bench.world import tokenizer
    from robust_unlearn_bench.world.source import NanoSource

    model, words = _blank(Shape(hidden=64, layers=1, window=512), seed), tokenizer.load(512)
    examples = [drill for exam in exams for drill in drills(NanoSource("wmdp"), exam)]
    steps = 50 * len(exams)
    course = FinetuneConfig(
        steps=steps, lr=1e-2, batch_size=32, schedule="cosine", warmup=0.05, optimizer="muon", seed=0, pool=1
    )
    finetune(model, words, examples, course)
    return checkpoints.save(checkpoints.Checkpoint(model.eval(), words), folder, {})


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where everything happens, with a cache of its own."""
    folder = tmp_path_factory.mktemp("story")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RUB_CACHE", str(folder / "cache"))
        patch.setenv("RUB_ANSWERS", "on")
        yield folder


@pytest.fixture(scope="module")
def target(place: Path) -> Path:
    return study(place / "target", ("mmlu", "craft"), 0)


@pytest.fixture(scope="module")
def unlearned(place: Path, target: Path) -> Path:
    changes = [word for change in (f"suite={SUITE}", "steps=15", "optimizer.lr=3e-3") for word in ("--set", change)]
    rub("unlearn", "nano_books/npo-adam", *changes, "--model", target, "--out", place / "npo")
    return place / "npo"


@pytest.fixture(scope="module")
def submission(place: Path, unlearned: Path) -> tuple[Path, str]:
    """The one command, and what it said."""
    said = rub("submit", "--model", unlearned, "--suite", SUITE, "--name", "Tiny NPO", "--out", place / "mine")
    return place / "mine", said


@pytest.fixture(scope="module")
def target_submission(place: Path, target: Path) -> Path:
    rub("submit", "--model", target, "--suite", SUITE, "--out", place / "other")
    return place / "other"


@pytest.fixture(scope="module")
def board(place: Path, target: Path, target_submission: Path) -> Path:
    """A leaderboard folder in a git repository, with both controls."""
    retrain = study(place / "retrain", ("mmlu",), 0)
    rub("eval", f"{SUITE}_robust", "--model", retrain, "--out", place / "retrain-results")
    for role, model, results in (
        ("target", target, target_submission / "results"),
        ("retrain", retrain, place / "retrain-results"),
    ):
        rub("record", results, "--model", model, "--kind", role, "--out", place / "controls" / role)
        rub("leaderboard", "anchor", place / "controls" / role, role, "--root", place / "repo" / "leaderboard")
    sh("git init -q -b main && git add . && git commit -q -m controls", place / "repo")
    return place / "repo"


def sh(script: str, folder: Path) -> None:
    identity = "export GIT_AUTHOR_NAME=u GIT_AUTHOR_EMAIL=u@x GIT_COMMITTER_NAME=u GIT_COMMITTER_EMAIL=u@x"
    done = subprocess.run(
        ["bash", "-e", "-c", f"{identity}\n{script}"], cwd=folder, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr


def test_one_command_makes_a_valid_record(submission: tuple[Path, str], unlearned: Path, place: Path) -> None:
    folder, said = submission
    entry = load(folder)
    assert said.splitlines() == [
        f"{folder / 'record.json'}  {entry.id}  valid",
        f"next: follow {folder / 'checklist.md'} to a pull request (1 point still open)",
    ]
    assert rub("leaderboard", "validate", folder, "--model", unlearned).startswith(f"{folder}: valid")
    assert (entry.record.display_name, entry.record.method.objective) == ("Tiny NPO", "npo")
    suite = SUITES[SUITE]
    cells = sum(len(leaf.metrics) for attack in suite.attacks for leaf in suite.under(attack))
    assert len(entry.record.results) == cells
    assert {name: len(items) for name, items in entry.items.items()} == {f"{SUITE}_mcq": 120, f"{SUITE}_mmlu": 120}


def test_a_finished_submission_is_prepared_again_from_the_cache(
    submission: tuple[Path, str], unlearned: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from robust_unlearn_bench.attacks.relearn.training_attack import TrainingAttack

    folder, said = submission
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    monkeypatch.setenv("RUB_ANSWERS", "on")
    monkeypatch.setattr(TrainingAttack, "stations", None)  # whoever relearns again fails
    assert rub("submit", "--model", unlearned, "--suite", SUITE, "--name", "Tiny NPO", "--out", folder) == said
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before


def test_the_checklist_leads_to_a_pull_request_that_may_be_merged(board: Path, submission: tuple[Path, str]) -> None:
    checklist = (submission[0] / "checklist.md").read_text()
    commands = "\n".join(line[4:] for line in checklist.splitlines() if line.startswith("    "))
    sh(f"git checkout -q -b mine\n{commands}\ngit checkout -q main", board)
    assert "may be merged" in rub("leaderboard", "intake", "mine", "--base", "main", "--repository", board)


def test_the_row_is_on_the_page(board: Path, submission: tuple[Path, str], place: Path) -> None:
    root = board / "leaderboard"
    assert "recomputed" in rub("leaderboard", "add", submission[0], "--root", root)
    rub("leaderboard", "build", "--root", root, "--out", place / "site")
    page = page_name(load(submission[0]).id)
    assert f"href={page}>Tiny NPO</a>" in (place / "site" / "index.html").read_text()
    assert "Tiny NPO" in (place / "site" / page).read_text()
    rows = json.loads((place / "site" / "data" / "board.json").read_text())["boards"][0]["rows"]
    scores = {row["display_name"]: row["score"]["value"] for row in rows}
    assert scores["target"] < 0.01
    assert scores["retrain"] > 0.95


def test_the_target_under_a_new_name_is_not_valid(
    board: Path, target: Path, target_submission: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUB_ANSWERS", "on")
    words = ("--suite", SUITE, "--name", "Nothing to see", "--root", board / "leaderboard", "--out", target_submission)
    said = rub("submit", "--model", target, *words, code=1)
    assert "NOT valid" in said
    assert "next: fix" in said
    assert r"- [ ] `rub leaderboard validate" in (target_submission / "checklist.md").read_text()


def test_the_gate_fails_on_the_target_and_holds_on_a_second_run(
    submission: tuple[Path, str], target_submission: Path, unlearned: Path, place: Path
) -> None:
    baseline, again, config = submission[0], place / "again", place / "gate.toml"
    rub("gate", "init", baseline, "--out", config)
    assert "regressed" in rub("gate", "check", baseline, target_submission, "--config", config, code=1)
    rub("submit", "--model", unlearned, "--suite", SUITE, "--out", again)  # answers are not cached in a test
    assert "held" in rub("gate", "check", baseline, again, "--config", config)
