"""rub unlearn, rub finetune, rub recipes, rub lmc, rub nano: making models, and the line between two of them."""

from __future__ import annotations

import json
import shutil
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from .progress import bar, first_process

__all__ = ["mount"]

nano_app = typer.Typer(name="nano", help="The embedded suites and their models.", no_args_is_help=True)


class Role(str, Enum):
    """The two models of a nano suite."""

    target = "target"
    retrain = "retrain"


def unlearn(
    recipe: Annotated[str, typer.Argument(help="Name (see `rub recipes`) or path of a recipe.")],
    model: Annotated[str, typer.Option(help="The target: folder or hub name.")],
    out: Annotated[Path, typer.Option(help="New folder for the unlearned checkpoint.")],
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="key=value changes, such as optimizer.lr=2e-5")
    ] = None,
    forget: Annotated[Path | None, typer.Option(help="JSONL of your own forget text or question-answer pairs.")] = None,
    retain: Annotated[Path | None, typer.Option(help="JSONL of your own retain text or question-answer pairs.")] = None,
    allow_overlap: Annotated[int, typer.Option(help="Number of forget examples that may also be retain examples.")] = 0,
    reuse: Annotated[bool, typer.Option("--reuse", help="Do nothing if OUT already contains this result.")] = False,
    device: Annotated[str, typer.Option(help="cpu, cuda, …")] = "cpu",
    data_dir: Annotated[Path | None, typer.Option(help="Local mirror of the data (like RUB_DATA).")] = None,
) -> None:
    """Unlearn with a recipe; an interrupted run continues when it is started again.

    Examples:
      rub unlearn nano_books/npo-hybrid --model TARGET --out unlearned/

      torchrun --nproc_per_node 8 -m robust_unlearn_bench unlearn muse_books/npo-adam --model TARGET --out unlearned/
      --device cuda

      rub unlearn nano_books/npo-adam --model MODEL --forget mine.jsonl --retain rest.jsonl --out unlearned/
    """
    from ..training.ranks import leave
    from ..unlearn.unlearning import unlearn as run

    with bar(recipe) as progress:
        folder = run(
            recipe,
            model,
            out,
            forget=forget,
            retain=retain,
            data_dir=str(data_dir) if data_dir else None,
            overrides=changes or (),
            allow_overlap=allow_overlap,
            reuse=reuse,
            device=device,
            progress=progress,
            announce=lambda line: typer.echo(line, err=True) if first_process() else None,
        )
    leave()
    if first_process():
        typer.echo(f"{folder}  (details in {folder / 'unlearning.json'})")


def recipes(as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False) -> None:
    """List the recipes with objective, optimizer and grade.

    Example: rub recipes
    """
    from textwrap import shorten

    from tabulate import tabulate

    from ..optimizers import grade_of
    from ..unlearn.recipe import load_recipe, recipe_files

    rows = []
    for name in recipe_files():
        recipe = load_recipe(name)
        optimizer = recipe.optimizer.name
        length = (
            f"{recipe.steps} steps" if recipe.steps else f"{recipe.epochs:g} epoch{'' if recipe.epochs == 1 else 's'}"
        )
        rows.append(
            {
                "recipe": name,
                "objective": recipe.objective.name,
                "optimizer": optimizer,
                "grade": grade_of(optimizer),
                "length": length,
                "source": recipe.source or "" if as_json else shorten(recipe.source or "", 48, placeholder=" …"),
            }
        )
    typer.echo(json.dumps(rows, indent=2) if as_json else tabulate(rows, headers="keys"))


def finetune(
    model: Annotated[str, typer.Option(help="Folder or hub name.")],
    data: Annotated[Path, typer.Option(help="JSONL of {text} or {question, answer} rows.")],
    out: Annotated[Path, typer.Option(help="New folder for the checkpoint.")],
    epochs: Annotated[float, typer.Option(help="Passes over the data.")] = 1.0,
    lr: Annotated[float, typer.Option(help="Peak learning rate.")] = 1e-5,
    batch_size: Annotated[int, typer.Option(help="Sequences per step.")] = 4,
    optimizer: Annotated[str, typer.Option(help="Optimizer with a single learning rate.")] = "adam",
    device: Annotated[str, typer.Option(help="cpu, cuda, …")] = "cpu",
    seed: Annotated[int, typer.Option(help="Seed of the data order.")] = 0,
) -> None:
    """Train a model, such as a target or retrain model, on your own text with the loop of unlearning and relearning.

    Example: rub finetune --model BASE --data retain.jsonl --epochs 5 --out retrain/
    """
    from ..models import checkpoint as checkpoints
    from ..training.finetune import FinetuneConfig
    from ..training.finetune import finetune as run
    from ..unlearn.corpora import read_jsonl

    checkpoints.refuse_to_overwrite(out)
    checkpoint = checkpoints.load(model, device=device)
    config = FinetuneConfig(
        epochs=epochs, lr=lr, batch_size=batch_size, optimizer=optimizer, schedule="cosine", seed=seed
    )
    corpus = read_jsonl(data)
    with bar("finetune") as progress:
        report = run(checkpoint.model, checkpoint.tokenizer, corpus.examples, config, progress=progress)
    checkpoints.save(checkpoint, out, {})
    typer.echo(
        f"{out}  loss {report.loss_first:.3f} → {report.loss_last:.3f} in {report.steps} steps, {report.seconds:.0f} s"
    )


def lmc(
    a: Annotated[str, typer.Argument(help="Model at t = 0: folder or hub name.")],
    b: Annotated[str, typer.Argument(help="Model at t = 1, of the same architecture and tokenizer.")],
    suite: Annotated[str, typer.Option(help="Suite whose forget and utility metrics are evaluated.")],
    out: Annotated[Path, typer.Option(help="Folder for lmc.json and lmc.svg.")],
    points: Annotated[int, typer.Option(help="Models on the line, both ends included.")] = 11,
    batch_size: Annotated[int, typer.Option(help="Rows per batch.")] = 16,
    device: Annotated[str, typer.Option(help="cpu, cuda, …")] = "cpu",
    data_dir: Annotated[Path | None, typer.Option(help="Local mirror of the data (like RUB_DATA).")] = None,
) -> None:
    """Evaluate (1 − t)·A + t·B along the line between two models (linear mode connectivity).

    Example: rub lmc adam/ relearned/ --suite nano_books --points 11 --out lmc/
    """
    from tabulate import tabulate

    from ..harness.connectivity import linear_connectivity

    with bar(f"{suite} on the line") as progress:
        told = linear_connectivity(
            a,
            b,
            suite,
            out,
            points=points,
            batch_size=batch_size,
            device=device,
            data_dir=str(data_dir) if data_dir else None,
            progress=progress,
        )
    shown = {name: [None if v is None else 100 * v for v in line] for name, line in told["metrics"].items()}
    typer.echo(
        tabulate({"t": told["t"], **shown}, headers="keys", floatfmt=(".2f", *[".1f"] * len(shown)), missingval="–")
    )
    typer.echo(f"in percent; {out / 'lmc.json'}, {out / 'lmc.svg'}")


@nano_app.command("train")
def nano_train(
    suite: Annotated[str | None, typer.Argument(help="nano_books, nano_news, …")] = None,
    role: Annotated[Role | None, typer.Option(help="Only this model; default: both.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All nano suites.")] = False,
    out: Annotated[Path | None, typer.Option(help="Copy the checkpoints into this folder.")] = None,
    link: Annotated[Path | None, typer.Option(help="Path of a link to the one checkpoint in the cache.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of weights and data order.")] = 0,
) -> None:
    """Train the target and the retrain model of a nano suite (cached), and print their folders.

    Example: rub nano train nano_books
    """
    from ..errors import ConfigError
    from ..models.checkpoint import refuse_to_overwrite
    from ..nano.pretrain import train_several
    from ..suites import SUITES

    if every == (suite is not None):
        raise ConfigError("name one nano suite, or give --all")
    if link and (every or role is None):
        raise ConfigError("--link is for one model: name a suite and give --role")
    names = [name for name in SUITES if SUITES[name].embedded] if every else [str(suite)]
    models = [(name, each) for name in names for each in ((role,) if role else Role)]
    copies = [out / f"{name}-{each.value}" for name, each in models] if out else []
    for copy in copies:
        refuse_to_overwrite(copy)
    with bar(" ".join(names)) as progress:
        folders = train_several([(name, each.value) for name, each in models], seed, progress=progress)
    for copy, folder in zip(copies, folders, strict=False):
        shutil.copytree(folder, copy, dirs_exist_ok=True)
    if link:
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(folders[0].resolve(), target_is_directory=True)
    for (name, each), folder in zip(models, copies or folders, strict=True):
        typer.echo(f"{name} {each.value}: {folder}")


def mount(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(unlearn)
    app.command()(recipes)
    app.command()(finetune)
    app.command()(lmc)
    app.add_typer(nano_app)
