"""Trials in a journal: what is proposed, counted, continued and refused. The bench is a formula, so no model is needed."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from robust_unlearn_bench.attacks import parse
from robust_unlearn_bench.errors import AttackError, ConfigError
from robust_unlearn_bench.search.attack_bench import Outcome
from robust_unlearn_bench.search.space import Space
from robust_unlearn_bench.search.study import Limits, run_trials, strongest
from robust_unlearn_bench.search.work_budget import WorkBudget

IDENTITY = {"suite": "toy", "model": "abc"}


class Bench:
    """Leaks the more the closer the rate is to 1e-4; compressing after training costs utility; pruning fails."""

    def __init__(self, die_at: int | None = None) -> None:
        self.tried: list[str] = []
        self.die_at = die_at

    def try_out(self, attack: str, most_lost: float) -> Outcome:
        self.tried.append(attack)
        if self.die_at == len(self.tried):
            os.kill(os.getpid(), signal.SIGKILL)
        steps = {step.name: step for step in parse(attack).steps}
        if "prune" in steps:
            raise AttackError("nothing left\nto prune")
        if "rtn" in steps:
            return Outcome(None, 0.5, "costs too much utility")
        rate = next((step.lr for step in steps.values() if hasattr(step, "lr")), 1e-9)
        return Outcome(max(0.0, 1 - abs(math.log10(rate / 1e-4)) / 4), 1.0)

    def steps(self, attack: str) -> int:
        return sum(getattr(step, "k", 0) for step in parse(attack).steps)


def trials_of(folder: Path, bench: Bench, trials: int = 16, **options: object) -> list:
    limits = Limits(trials, options.pop("work", None))  # type: ignore[arg-type]
    return run_trials(bench, Space(), folder, limits, **{"seed": 3, "identity": IDENTITY, **options})  # type: ignore[arg-type]


@pytest.fixture
def whole(tmp_path: Path) -> list[str]:
    """The attacks of a search that nothing interrupts."""
    return [trial.attack for trial in trials_of(tmp_path / "whole", Bench())]


def test_a_search_that_was_killed_goes_on_as_if_it_had_not_been(tmp_path: Path, whole: list[str]) -> None:
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path; from test_study import *; "
        "trials_of(Path(sys.argv[2]), Bench(die_at=13))"
    )
    done = subprocess.run([sys.executable, "-c", script, Path(__file__).parent, tmp_path / "killed"])
    assert done.returncode == -signal.SIGKILL
    again = Bench()
    trials = trials_of(tmp_path / "killed", again)
    assert [trial.attack for trial in trials] == whole
    assert again.tried == whole[12:]  # the one that was interrupted, and the rest


def test_a_finished_search_tries_nothing_more_and_a_longer_one_goes_on(tmp_path: Path, whole: list[str]) -> None:
    bench = Bench()
    assert [trial.attack for trial in trials_of(tmp_path / "a", bench, trials=6)] == whole[:6]
    trials_of(tmp_path / "a", bench, trials=6)
    assert len(bench.tried) == 6
    assert [trial.attack for trial in trials_of(tmp_path / "a", bench, trials=12)] == whole[:12]


def test_failed_trials_count_and_say_why(tmp_path: Path) -> None:
    trials = trials_of(tmp_path, Bench(), trials=24)
    assert len(trials) == 24
    outcomes = {trial.outcome for trial in trials}
    assert {"kept", "failed"} <= outcomes
    for trial in trials:
        names = {step.name for step in parse(trial.attack).steps}
        assert (trial.outcome == "failed") == ("prune" in names)
        assert trial.outcome != "failed" or (trial.reason, trial.leakage) == ("nothing left to prune", None)
        assert trial.outcome != "costly" or ("rtn" in names and trial.leakage is None and trial.utility == 0.5)
    best = strongest(trials)
    assert best is not None
    assert best.leakage == max(trial.leakage or 0 for trial in trials)


@pytest.mark.parametrize("seed", [3, 4])
def test_it_learns_where_the_strong_attacks_are_and_what_fails(tmp_path: Path, seed: int) -> None:
    trials = run_trials(Bench(), Space(), tmp_path, Limits(50, None), seed=seed, identity=IDENTITY)
    found = [trial.leakage or 0.0 for trial in trials]
    assert sum(found[-10:]) > 1.5 * sum(found[:10])  # the first ten are random
    assert len([trial for trial in trials[-10:] if trial.outcome == "failed"]) <= 3


def test_two_processes_share_a_study(tmp_path: Path) -> None:
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path; from test_study import *; "
        "trials_of(Path(sys.argv[2]), Bench(), trials=20)"
    )
    words = [sys.executable, "-c", script, str(Path(__file__).parent), str(tmp_path)]
    both = [subprocess.Popen(words) for _ in range(2)]
    assert [process.wait(timeout=300) for process in both] == [0, 0]
    bench = Bench()
    trials = trials_of(tmp_path, bench, trials=20)
    assert 20 <= len(trials) <= 21  # each may be at one trial when the limit is reached
    assert bench.tried == []
    assert len({trial.attack for trial in trials}) > 15  # the two do not try the same


def test_a_budget_of_steps_ends_the_search(tmp_path: Path) -> None:
    bench = Bench()
    trials = trials_of(tmp_path, bench, trials=200, work=WorkBudget(600, "steps"))
    spent = [trial.steps for trial in trials]
    assert sum(spent) >= 600 > sum(spent[:-1])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("10steps", "does not pay for one trial: the shortest training attack takes 16 steps"),
        ("0s", "does not pay for one trial"),
        ("5 parsecs", "write 5000steps, 90s, 30m or 2h"),
        ("-5s", "cannot be read"),
    ],
)
def test_budgets_that_buy_nothing(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        WorkBudget.read(text, 16)


def test_budgets_as_written() -> None:
    assert WorkBudget.read("5000steps", 16) == WorkBudget(5000, "steps")
    assert WorkBudget.read("1.5h", 16) == WorkBudget(5400, "seconds")
    assert WorkBudget(10, "seconds").spent_by(0, 10)
    assert not WorkBudget(10, "seconds").spent_by(1000, 9)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"identity": {**IDENTITY, "model": "def"}}, r"holds another search \(other model\)"),
        ({"seed": 4}, r"holds another search \(other seed\)"),
        ({"trials": 0}, "tries nothing"),
    ],
)
def test_a_folder_holds_one_search(tmp_path: Path, change: dict, message: str) -> None:
    trials_of(tmp_path, Bench(), trials=1)
    with pytest.raises(ConfigError, match=message):
        trials_of(tmp_path, Bench(), **{"trials": 2, **change})


def test_without_optuna_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ImportError, match=r"pip install 'robust-unlearn-bench\[search\]'"):
        trials_of(tmp_path, Bench())
