"""rub eval: lm-eval tasks under attacks."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import ConfigError
from .progress import first_process

__all__ = ["mount", "specs"]


class Keep(str, Enum):
    """Places to keep the original weights while a model is under attack."""

    cpu = "cpu"
    disk = "disk"
    reload = "reload"


def evaluate(
    tasks: Annotated[str, typer.Argument(help="Task or group names, separated by commas: nano_books_robust")],
    model: Annotated[str, typer.Option(help="Model folder or hub name.")],
    attacks: Annotated[
        str | None, typer.Option(help="Put every task under each of these attacks, separated by semicolons or spaces.")
    ] = None,
    suite: Annotated[str | None, typer.Option(help="Suite whose text the attacks on lm-eval's own tasks use.")] = None,
    dtype: Annotated[str, typer.Option(help="Dtype of the weights: auto, float32, bfloat16, …")] = "auto",
    out: Annotated[Path | None, typer.Option(help="Folder for results and samples.")] = None,
    batch_size: Annotated[str, typer.Option(help="Rows per batch; our own tasks choose for 1 or auto.")] = "auto",
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, …")] = None,
    limit: Annotated[float | None, typer.Option(help="Documents per task, for a quick look only.")] = None,
    chat: Annotated[bool, typer.Option("--apply-chat-template", help="Use the model's chat template.")] = False,
    metrics: Annotated[
        str | None, typer.Option(help="More metrics to report, such as 'em prob'; see `rub doctor` for their names.")
    ] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Local mirror of the data (like RUB_DATA).")] = None,
    snapshot: Annotated[
        Keep,
        typer.Option(envvar="RUB_SNAPSHOT", help="Where to keep the original weights; reload: read MODEL again."),
    ] = Keep.cpu,
    controls: Annotated[
        bool, typer.Option("--controls", help="Also evaluate the target and retrain models, and print the leakage.")
    ] = False,
    target: Annotated[str | None, typer.Option(help="For --controls: the model before unlearning.")] = None,
    retrain: Annotated[
        str | None, typer.Option(help="For --controls: the model that never saw the forget text.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print results as JSON instead of a table.")] = False,
) -> None:
    """Evaluate a model on tasks, each under an attack.

    Examples:
      rub eval nano_books_robust --model DIR --out results/

      rub eval hellaswag,arc_challenge --model DIR --attacks "none gptq4 relearn50+gptq4" --suite muse_books

      rub eval nano_books_robust --model DIR --controls --out results/
    """
    from ..harness.evaluate import evaluate as run

    names = [task.strip() for task in tasks.split(",") if task.strip()]

    def evaluated(source: str, folder: Path | None) -> dict[str, Any]:
        return run(
            "hf",
            {"pretrained": source, "dtype": dtype, "use_safetensors": True},
            names,
            attacks=specs(attacks or ""),
            suite=suite,
            out=folder,
            batch_size=int(batch_size) if batch_size.isdigit() else batch_size,
            device=device,
            limit=limit,
            apply_chat_template=chat,
            announce=lambda line: typer.echo(line, err=True) if first_process() else None,
            metadata={
                **({"data_dir": str(data_dir)} if data_dir else {}),
                **({"metrics": metrics.replace(",", " ").split()} if metrics else {}),
                **({"snapshot": snapshot.value} if snapshot is not Keep.cpu else {}),
            },
        )

    if controls:
        _controls(model, target, retrain, names, out, limit, evaluated, as_json)
        return
    if target or retrain:
        raise ConfigError("--target and --retrain are for --controls: add it, or leave them out")
    results = evaluated(model, out)
    if as_json:
        typer.echo(json.dumps({"results": results["results"], "configs": results["configs"]}, default=str))
        return
    from lm_eval.utils import make_table

    typer.echo(make_table(results))
    if out:
        typer.echo(f"results and per-document scores are in {out}")


def specs(text: str) -> list[str]:
    """Split `none gptq4; relearn50(lr=2e-5, seed=1)` into three specs."""
    return [spec for spec in re.split(r"[;\s]+(?![^(]*\))", text.strip()) if spec]


def _controls(
    model: str,
    target: str | None,
    retrain: str | None,
    tasks: list[str],
    out: Path | None,
    limit: float | None,
    evaluated: Callable[[str, Path], Any],
    as_json: bool,
) -> None:
    """Evaluate target, retrain model and candidate on the same tasks, and print the leakage."""
    from tabulate import tabulate

    from ..controls import evaluate_with_controls, leakage_rows, nano_controls
    from ..leaderboard.scoring.board_table import board_rows
    from .progress import bar

    if out is None:
        raise ConfigError("--controls writes results and records of three models: choose a folder with --out FOLDER")
    if limit is not None:
        raise ConfigError("--controls needs every document: leave out --limit")
    if not (target and retrain):
        with bar("controls") as progress:
            known = nano_controls(tasks, progress)
        target, retrain = target or known[0], retrain or known[1]
    board, row = evaluate_with_controls(model, target, retrain, out, evaluated)
    rows = leakage_rows(row)
    if as_json:
        typer.echo(json.dumps({"leakage": rows, "board": board_rows(board)}))
        return
    typer.echo(tabulate(rows, headers="keys", disable_numparse=True))
    typer.echo("leakage: 0 = as if never trained on the forget text, 1 = nothing was forgotten\n")
    typer.echo(tabulate(board_rows(board), headers="keys", disable_numparse=True))
    typer.echo(f"results and records are in {out}")


def mount(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("eval")(evaluate)
