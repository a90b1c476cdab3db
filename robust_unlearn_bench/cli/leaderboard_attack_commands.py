"""rub leaderboard attack add, verify: attacks that others found on rows of the board."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from .leaderboard_options import Root, open_store

__all__ = ["found_app"]

found_app = typer.Typer(name="attack", help="Attacks that `rub attack search` found on rows.", no_args_is_help=True)

File = Annotated[Path, typer.Argument(help="attack.json, or the folder that holds it and the records behind it.")]
By = Annotated[str, typer.Option(help="Name of the person or group that decides.")]


@found_app.command()
def add(file: File, by: By = "maintainers", root: Root = None) -> None:
    """Validate an attack and copy it into the leaderboard folder; it counts for the rank once it is verified.

    Example: rub leaderboard attack add found/finding

    Exits with 1 when it may not be added.
    """
    from ..leaderboard.check.attack_check import check_attack_for
    from ..leaderboard.record.attack_entry import load_attack

    store = open_store(root)
    entry = load_attack(file)
    findings = check_attack_for(store, entry)
    for finding in findings:
        typer.echo(str(finding), err=True)
    if any(finding.level == "error" for finding in findings):
        typer.echo("not added", err=True)
        raise typer.Exit(1)
    typer.echo(store.add_attack(entry, by=by, reason="validated: items verified"))


@found_app.command()
def verify(
    file: File,
    model: Annotated[str, typer.Option(help="The model that was attacked: folder or hub name.")],
    target: Annotated[
        str | None, typer.Option(help="The model before unlearning; nano suites train their own.")
    ] = None,
    retrain: Annotated[
        str | None, typer.Option(help="The model that never saw the forget text; nano suites train their own.")
    ] = None,
    repeatability: Annotated[
        float | None, typer.Option(help="Largest difference between two runs of one model; default: 0.02, a fraction.")
    ] = None,
    dtype: Annotated[str, typer.Option(help="Dtype of the weights: auto, float32, bfloat16, …")] = "auto",
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, …")] = None,
    batch_size: Annotated[str, typer.Option(help="Rows per batch; our own tasks choose for 1 or auto.")] = "auto",
    data_dir: Annotated[Path | None, typer.Option(help="Local mirror of the data (like RUB_DATA).")] = None,
    by: By = "maintainers",
    root: Root = None,
) -> None:
    """Run an attack of the board again on all three models, and record whether every cell agrees.

    Example: rub leaderboard attack verify leaderboard/attacks/rua1-3f2a91… --model DIR

    Exits with 1 when a cell disagrees.
    """
    from ..leaderboard.check.replay import REPEATABILITY
    from ..leaderboard.record.attack_entry import load_attack
    from ..search.finding_report import run_again
    from .attack_commands import bench_of

    store = open_store(root)
    entry = load_attack(file)
    options = {"dtype": dtype, "device": device, "batch_size": batch_size, "data_dir": data_dir}
    bench = bench_of(entry.record.on.suite, model, target, retrain, options)
    tolerance = REPEATABILITY if repeatability is None else repeatability
    with TemporaryDirectory() as scratch:
        cells = run_again(entry, bench, Path(scratch), tolerance)
    apart = [(role, cell) for role, found in cells.items() for cell in found if not cell.within]
    count = sum(len(found) for found in cells.values())
    for role, cell in apart:
        typer.echo(f"{role} {cell.cell}: {cell.submitted:.4f} in the record, {cell.replayed:.4f} now")
    typer.echo(f"{count - len(apart)} of {count} cells agree within {tolerance:g}")
    if apart:
        reason = f"run again: {len(apart)} of {count} cells disagree"
        store.judge_attack(entry, by=by, reason=reason, tier="recomputed")
        raise typer.Exit(1)
    store.judge_attack(entry, by=by, reason=f"run again: {count} cells agree", tier="replayed")
