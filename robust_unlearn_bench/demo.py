"""`rub demo`: the whole workflow on an embedded suite, run with the commands that a user would type.

The demo trains target and retrain, unlearns, runs `lm_eval` on each model, makes records, scores them and builds the
page. Independent commands run side by side, two at a time if there are two cores. Finished work is kept: trained models
and answers in the cache, unlearned models in the output folder.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from .errors import RubError

__all__ = ["Command", "Demo", "commands", "run_demo"]

SUITE = "nano_books"
RECIPES = ("npo-adam", "npo-hybrid")
ROLES = ("target", "retrain")
ATTACKS = ("gptq4", *(f"relearn_const{k}_x5" for k in (10, 25, 50)), "relearn_retain_const50_x5")
"""A fifth of the suite's standard attacks, so that the demo takes minutes."""


@dataclass(frozen=True, slots=True)
class Command:
    """One command of the demo.

    Attributes:
        name: name of the command, used in messages and for its log.
        says: short description of the command.
        words: command line, without the interpreter.
        after: names of the commands that must finish before this one.
        seconds: approximate duration on one core, used to estimate the remaining time.
    """

    name: str
    says: str
    words: tuple[str, ...]
    after: tuple[str, ...] = ()
    seconds: float = 60.0


@dataclass(slots=True)
class Demo:
    """Results of the demo.

    Attributes:
        table: rows for tabulate, one per model.
        page: path of the HTML page.
        models: name → checkpoint folder.
        seconds: name of a command → wall time in seconds.
    """

    table: list[dict[str, str]]
    page: Path
    models: dict[str, Path]
    seconds: dict[str, float]


def commands(out: Path, recipes: Sequence[str] = RECIPES) -> list[Command]:
    """Return all commands up to the records, in an order in which they can run."""
    found: list[Command] = []

    def add(name: str, says: str, *words: str, after: tuple[str, ...] = (), seconds: float) -> None:
        found.append(Command(name, says, words, after, seconds))

    for role, what in zip(ROLES, ("knows the book", "never read the book"), strict=True):
        train = ("rub", "nano", "train", SUITE, "--role", role, "--link", str(out / "models" / role))
        add(f"train-{role}", f"a small Llama that {what}", *train, seconds=130)
    for recipe in recipes:
        where = ("--model", str(out / "models" / "target"), "--out", str(out / "models" / recipe), "--reuse")
        unlearn = ("rub", "unlearn", f"{SUITE}/{recipe}", *where)
        add(f"unlearn-{recipe}", "makes the target forget the book", *unlearn, after=("train-target",), seconds=60)
    for model in (*ROLES, *recipes):
        before = f"train-{model}" if model in ROLES else f"unlearn-{model}"
        loaded = ("--model", "hf", "--model_args", f"pretrained={out / 'models' / model},dtype=float32")
        kept = ("--output_path", str(out / "results" / model), "--log_samples")
        tasks = ",".join((SUITE, *(f"{SUITE}__{attack}" for attack in ATTACKS)))
        evaluate = ("lm_eval", "--tasks", tasks, *loaded, *kept)
        add(f"evaluate-{model}", "unattacked, quantised and relearned", *evaluate, after=(before,), seconds=100)
    return found


def run_demo(out: Path, *, quick: bool = False, console: Console | None = None) -> Demo:
    """Run the demo.

    Args:
        out: folder for models, results, records, logs and the page.
        quick: leave out the slower unlearner.
        console: console for messages; standard error by default.

    Raises:
        RubError: a command failed; the message names its log.
    """
    from .leaderboard import build_page, record_from_results, score
    from .leaderboard.scoring.board_table import board_rows

    todo = commands(out, RECIPES[:1] if quick else RECIPES)
    seconds = _run(todo, out / "logs", console or Console(stderr=True))
    names = [command.name.partition("-")[2] for command in todo if command.name.startswith("evaluate")]
    entries = {}
    for name in names:
        kind: Any = name if name in ROLES else "unlearned"
        model = (out / "models" / name).resolve()
        entries[name] = record_from_results(out / "results" / name, model=model, name=name, kind=kind).entry
        entries[name].save(out / "records" / name)
    board = score(list(entries.values()), entries["target"], entries["retrain"])
    page = build_page([board], out / "site")
    return Demo(board_rows(board), page, {name: out / "models" / name for name in names}, seconds)


def _run(todo: Sequence[Command], logs: Path, console: Console) -> dict[str, float]:
    """Run commands side by side, each as soon as the commands it depends on are done."""
    logs.mkdir(parents=True, exist_ok=True)
    cores = os.cpu_count() or 1
    side_by_side = min(2, cores)
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": str(max(1, cores // side_by_side)),
        "TOKENIZERS_PARALLELISM": "false",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
    }
    seconds: dict[str, float] = {}
    stop = threading.Event()
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TextColumn("{task.fields[left]}"))
    whole = sum(command.seconds for command in todo)
    futures: dict[str, Future[None]] = {}

    def run(command: Command) -> None:
        wait([futures[name] for name in command.after])
        if stop.is_set() or any(futures[name].exception() for name in command.after):
            return
        console.print(f"[bold]{command.name}[/bold] · {command.says}\n  $ {shlex.join(command.words)}", highlight=False)
        started = time.perf_counter()
        log = logs / f"{command.name}.log"
        with log.open("w", encoding="utf-8") as stream:
            process = subprocess.Popen(command.words, stdout=stream, stderr=subprocess.STDOUT, env=environment)
            while process.poll() is None:
                if stop.wait(0.2):
                    process.terminate()
        if stop.is_set():
            return
        if process.returncode:
            last = log.read_text(encoding="utf-8").strip().splitlines()[-1:]
            raise RubError(f"{command.name} failed ({''.join(last)}); its output is in {log}")
        seconds[command.name] = time.perf_counter() - started
        console.print(f"{command.name} done in {seconds[command.name]:.0f} s", highlight=False)

    bar = Progress(*columns, console=console, disable=not console.is_terminal)
    with bar, ThreadPoolExecutor(side_by_side) as pool:
        shown = bar.add_task("demo", total=whole, left="")
        started = time.perf_counter()
        futures.update({command.name: pool.submit(run, command) for command in todo})
        try:
            while waiting := [future for future in futures.values() if not future.done()]:
                wait(waiting, timeout=0.5, return_when=FIRST_EXCEPTION)
                failed = [error for f in futures.values() if f.done() and (error := f.exception())]
                if failed:
                    raise failed[0]
                done = sum(command.seconds for command in todo if command.name in seconds)
                spent = time.perf_counter() - started
                pace = spent / done if done else 1 / side_by_side
                bar.update(shown, completed=done, left=f"about {max(whole * pace - spent, 1):.0f} s left")
        except BaseException:
            stop.set()
            raise
    for future in futures.values():
        future.result()
    return seconds
