"""rub doctor, rub paths, rub tasks: checks of the installation, its folders, and task YAML of suites."""

from __future__ import annotations

import json
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["mount"]


class Folder(str, Enum):
    """Folders that `rub paths` knows."""

    tasks = "tasks"
    baselines = "baselines"
    leaderboard = "leaderboard"
    cache = "cache"


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False) -> None:
    """Check versions, tasks, device, hub and cache; each problem comes with its remedy.

    Example: rub doctor. Exits with 1 when there is a problem.
    """
    from ..doctor import examine

    checks = examine()
    problems = sum(check.verdict == "problem" for check in checks)
    if as_json:
        typer.echo(json.dumps([check._asdict() for check in checks], indent=2))
    else:
        marks = {"ok": "ok     ", "note": "note   ", "problem": "PROBLEM"}
        for check in checks:
            typer.echo(f"{marks[check.verdict]} {check.what}: {check.found}")
            if check.remedy:
                typer.echo(f"        → {check.remedy}")
        typer.echo("everything is in place" if not problems else f"{problems} to fix")
    raise typer.Exit(1 if problems else 0)


def paths(folder: Annotated[Folder, typer.Argument(help="Folder to print.")]) -> None:
    """Print the path of a folder.

    Example: lm_eval --include_path "$(rub paths tasks)" --tasks nano_books_robust …
    """
    from ..paths import baselines_dir, cache_dir, leaderboard_dir, tasks_dir

    where = {"tasks": tasks_dir, "baselines": baselines_dir, "leaderboard": leaderboard_dir, "cache": cache_dir}
    typer.echo(where[folder.value]())


def tasks(
    suites: Annotated[list[str], typer.Argument(help="Names of suites.")],
    out: Annotated[Path, typer.Option(help="Folder for the YAML, created if needed.")],
) -> None:
    """Write the lm-eval task YAML of suites: tasks, and their clean, attacked and robust groups.

    For a suite of your own distribution: ship the folder inside lm_eval/tasks/, or pass it to lm_eval --include_path.

    Example: rub tasks my_suite --out tasks/
    """
    from ..harness.task_yaml import task_files, write_files

    files = task_files(suites)
    write_files(out, files)
    typer.echo(f"{len(files)} files in {out}")


def mount(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(doctor)
    app.command()(paths)
    app.command()(tasks)
