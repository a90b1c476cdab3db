"""rub submit, rub record, rub score, rub reference, rub demo: from a model or results to a record, a table and a page."""

from __future__ import annotations

import json
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["mount"]

reference_app = typer.Typer(name="reference", help="Reference files of retrain models.", no_args_is_help=True)


class Kind(str, Enum):
    """Roles of a model in its suite."""

    unlearned = "unlearned"
    target = "target"
    retrain = "retrain"
    null = "null"
    never_saw = "never_saw"
    dose = "dose"
    hider = "hider"


def record(
    results: Annotated[list[Path], typer.Argument(help="Folders or files that `lm_eval --log_samples` wrote.")],
    out: Annotated[Path, typer.Option(help="Folder for record.json and the item files.")],
    model: Annotated[
        Path | None, typer.Option(help="Checkpoint folder; default: the one that the results name.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the row; default: the recipe's or the model's name.")
    ] = None,
    kind: Annotated[Kind, typer.Option(help="Role of the model in its suite.")] = Kind.unlearned,
) -> None:
    """Turn lm-eval results into a leaderboard record with per-document scores but no texts.

    Example: rub record results/ --out records/mine --name "NPO, my variant"
    """
    from ..leaderboard import record_from_results

    built = record_from_results(results, model=model, name=name, kind=kind.value)
    path = built.entry.save(out)
    typer.echo(f"{path}  {built.entry.id}")
    for note in built.notes:
        typer.echo(f"note: {note}", err=True)
    if built.missing:
        shown = "; ".join(built.missing[:5]) + (" …" if len(built.missing) > 5 else "")
        typer.echo(f"partial: {len(built.missing)} cells of the standard set are missing ({shown})", err=True)


def submit(
    model: Annotated[str, typer.Option(help="Model folder or hub name.")],
    suite: Annotated[str, typer.Option(help="Suite, such as muse_books or nano_books.")],
    out: Annotated[Path, typer.Option(help="Folder for record, item files and checklist.")],
    recipe: Annotated[
        str | None, typer.Option(help="Recipe that made the model, if its folder has no unlearning.json.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the row; default: the recipe's or the model's name.")
    ] = None,
    revision: Annotated[str | None, typer.Option(help="Commit of a hub model; default: the newest.")] = None,
    dtype: Annotated[str, typer.Option(help="Dtype of the weights: auto, float32, bfloat16, …")] = "auto",
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, …; default: cuda if available.")] = None,
    batch_size: Annotated[str, typer.Option(help="Rows per batch, or auto.")] = "auto",
    data_dir: Annotated[Path | None, typer.Option(help="Local mirror of the data (like RUB_DATA).")] = None,
    root: Annotated[
        Path | None, typer.Option(help="Leaderboard folder to validate against; default: this installation's.")
    ] = None,
) -> None:
    """Measure a model on a whole suite under its standard attacks, and prepare the pull request that submits it.

    Example: rub submit --model DIR --suite nano_books --out submission/

    An interrupted run continues where it stopped. Exits with 1 when the record cannot be added to the board.
    """
    from ..leaderboard.check.checklist import open_points
    from ..leaderboard.store import Store
    from ..paths import leaderboard_dir
    from ..submit import submit as run

    done = run(
        model,
        suite,
        out,
        Store(root or leaderboard_dir()),
        recipe=recipe,
        name=name,
        revision=revision,
        dtype=dtype,
        device=device,
        batch_size=int(batch_size) if batch_size.isdigit() else batch_size,
        data_dir=str(data_dir) if data_dir else None,
    )
    for finding in done.verdict.findings:
        typer.echo(str(finding), err=True)
    typer.echo(f"{out / 'record.json'}  {done.entry.id}  {'valid' if done.verdict.ok else 'NOT valid'}")
    if not done.verdict.ok:
        typer.echo("next: fix the errors above, and run the same command again")
        raise typer.Exit(1)
    count = len(open_points(done.entry.record))
    still = f" ({count} point{'s' * (count > 1)} still open)" if count else ""
    typer.echo(f"next: follow {done.checklist} to a pull request{still}")


def score(
    records: Annotated[list[Path], typer.Argument(help="Record folders (or record.json files).")],
    target: Annotated[Path, typer.Option(help="Record of the model before unlearning.")],
    retrain: Annotated[Path, typer.Option(help="Record of the model that never saw the forget data.")],
    page: Annotated[Path | None, typer.Option(help="Also build an HTML page in this folder.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Score records against target and retrain under the same attacks.

    Example: rub score records/* --target records/target --retrain records/retrain
    """
    from tabulate import tabulate

    from ..leaderboard import build_page, load
    from ..leaderboard import score as run
    from ..leaderboard.scoring.board_table import board_rows

    board = run([load(path) for path in records], load(target), load(retrain))
    rows = board_rows(board)
    typer.echo(json.dumps(rows, indent=2) if as_json else tabulate(rows, headers="keys", disable_numparse=True))
    if page:
        typer.echo(f"page: {build_page([board], page)}")


@reference_app.command("build")
def reference_build(
    results: Annotated[Path, typer.Argument(help="Folder that `lm_eval --log_samples` wrote for the retrain model.")],
    out: Annotated[Path, typer.Option(help="Reference file to write.")],
    suite: Annotated[str | None, typer.Option(help="Suite to use if the results contain several.")] = None,
) -> None:
    """Write the truth ratios of a retrain model, which forget quality is measured against.

    Example: rub reference build results/retrain --out retrain.json, then RUB_REFERENCE=retrain.json lm_eval …
    """
    from ..suites.retrain_reference import build_reference

    reference = build_reference(results, suite)
    reference.write(out)
    typer.echo(f"{out}: {len(reference.log_truth_ratio)} questions of {reference.suite}, model {reference.model}")


def demo(
    out: Annotated[Path, typer.Option(help="Folder for models, results, records and the page.")] = Path("demo"),
    quick: Annotated[bool, typer.Option("--quick", help="Leave out the slower unlearner.")] = False,
) -> None:
    """Run the whole pipeline on the embedded nano_books suite: train, unlearn, attack, score, build a page.

    Example: rub demo
    """
    from tabulate import tabulate

    from ..demo import run_demo

    done = run_demo(out, quick=quick)
    typer.echo("\n" + tabulate(done.table, headers="keys", disable_numparse=True) + "\n")
    typer.echo("leakage: 0 = as if never trained on the forget text, 1 = nothing was forgotten; worst attack named")
    typer.echo(f"page: {done.page.resolve().as_uri()}\n")
    typer.echo("try next:")
    model = next(path for name, path in done.models.items() if name.startswith("npo"))
    target = done.models["target"]
    typer.echo(f"  lm_eval --tasks nano_books_curve --model hf --model_args pretrained={model},dtype=float32")
    typer.echo(f"  rub attack relearn20+gptq4 --suite nano_books --model {model} --out {out}/models/attacked")
    typer.echo(f"  rub unlearn nano_books/npo-adam --set optimizer.lr=2e-4 --model {target} --out {out}/models/mine")


def mount(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(demo)
    app.command()(submit)
    app.command()(record)
    app.command()(score)
    app.add_typer(reference_app)
