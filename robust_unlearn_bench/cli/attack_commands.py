"""rub attack, rub attack search: an attacked checkpoint, and the strongest attack on a model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    from ..leaderboard.record.attack_record import Trial
    from ..search.attack_bench import AttackBench

__all__ = ["bench_of", "mount"]

WRITE = "checkpoint"
"""The command that `rub attack SPEC` stands for."""

SHOWN = 10
"""Number of trials that are printed."""


class _Group(TyperGroup):
    """A group whose first argument may be a spec: `rub attack relearn50 …` is `rub attack checkpoint relearn50 …`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Name the command where the user named none."""
        if args and args[0] not in {*self.commands, *ctx.help_option_names}:
            args = [WRITE, *args]
        return super().parse_args(ctx, args)


class Format(str, Enum):
    """Formats of an attacked checkpoint."""

    floats = "floats"
    gptq = "gptq"


attack_app = typer.Typer(
    name="attack",
    cls=_Group,
    no_args_is_help=True,
    help="Write an attacked checkpoint (`rub attack SPEC …`), or search for the strongest attack on a model.",
)


@attack_app.command(WRITE)
def checkpoint(
    spec: Annotated[str, typer.Argument(help="Attack: gptq4, relearn50, 'relearn100(lr=2e-5)', relearn50+gptq4")],
    model: Annotated[str, typer.Option(help="Float checkpoint: folder or hub name.")],
    out: Annotated[Path, typer.Option(help="New folder for the attacked checkpoint.")],
    suite: Annotated[str | None, typer.Option(help="Suite whose forget and retain text the attack uses.")] = None,
    dtype: Annotated[str, typer.Option(help="Dtype of the weights: auto, float32, bfloat16, …")] = "auto",
    device: Annotated[str, typer.Option(help="cpu, cuda, …")] = "cpu",
    data_dir: Annotated[Path | None, typer.Option(help="Local mirror of the data (like RUB_DATA).")] = None,
    format: Annotated[
        Format, typer.Option(help="floats: dequantised weights; gptq: packed by gptqmodel, for attacks ending in gptq.")
    ] = Format.floats,
) -> None:
    """Write an attacked checkpoint that any backend can load, with a card of its provenance.

    `rub attack SPEC` means the same.

    Example: rub attack relearn50+gptq4 --suite nano_books --model DIR --out attacked/
    """
    from ..harness.attacked_checkpoint import CARD, attack_checkpoint
    from .progress import bar

    with bar(spec) as progress:
        folder = attack_checkpoint(
            spec,
            model,
            out,
            suite=suite,
            data_dir=str(data_dir) if data_dir else None,
            dtype=dtype,
            device=device,
            packed=format is Format.gptq,
            progress=progress,
        )
    typer.echo(f"{folder}  (provenance in {folder / CARD})")


@attack_app.command("search")
def search(
    model: Annotated[str, typer.Option(help="Model to attack: folder or hub name.")],
    suite: Annotated[str, typer.Option(help="Suite whose forget metrics the attack is to elicit.")],
    out: Annotated[Path, typer.Option(help="Folder of the search; an interrupted one continues there.")],
    trials: Annotated[int, typer.Option(help="Attacks to try, failed ones included.")] = 50,
    budget: Annotated[
        str | None, typer.Option(help="Limit on their work: 5000steps of the optimizer, or 90s, 30m, 2h of time.")
    ] = None,
    utility_loss: Annotated[float, typer.Option(help="Largest share of utility that an attack may cost.")] = 0.1,
    seed: Annotated[int, typer.Option(help="Seed of the sampler.")] = 0,
    target: Annotated[
        str | None, typer.Option(help="The model before unlearning; nano suites train their own.")
    ] = None,
    retrain: Annotated[
        str | None, typer.Option(help="The model that never saw the forget text; nano suites train their own.")
    ] = None,
    dtype: Annotated[str, typer.Option(help="Dtype of the weights: auto, float32, bfloat16, …")] = "auto",
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, …")] = None,
    batch_size: Annotated[str, typer.Option(help="Rows per batch; our own tasks choose for 1 or auto.")] = "auto",
    data_dir: Annotated[Path | None, typer.Option(help="Local mirror of the data (like RUB_DATA).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the finding as JSON instead of tables.")] = False,
) -> None:
    """Search for the attack that brings back most of what a model was made to forget, beyond what it teaches any model.

    Attacks train, quantise, prune, add noise, or do several of these in turn. The attack and its metric are chosen on
    one half of the documents, and the leakage that is printed is that of the other. Several processes may share OUT.

    Example: rub attack search --suite nano_books --model DIR --trials 50 --out found/
    """
    from ..search.finding_report import report
    from ..search.space import Space
    from ..search.strongest_attack import search as run
    from ..search.study import Limits
    from ..search.work_budget import WorkBudget
    from .progress import bar

    work = WorkBudget.read(budget, Space().steps[0]) if budget else None
    options = {"dtype": dtype, "device": device, "batch_size": batch_size, "data_dir": data_dir}
    bench = bench_of(suite, model, target, retrain, options)
    with bar("search") as progress:
        tried = run(bench, out, Limits(trials, work, utility_loss), seed=seed, progress=progress)
    if not as_json:
        _print_trials(tried)
    entry = report(bench, tried, Space.of(bench.suite), out, seed=seed, most_lost=utility_loss)
    if as_json:
        typer.echo(json.dumps(entry.record.model_dump(mode="json")))
        return
    _print_finding(entry.record)
    typer.echo(f"{out / 'finding' / 'attack.json'}  {entry.id}")
    typer.echo(f"submit the folder {out / 'finding'}; results/ holds texts of the suite and stays with you")


def bench_of(suite: str, model: str, target: str | None, retrain: str | None, options: dict[str, Any]) -> AttackBench:
    """Return the three models of a suite; the controls of a nano suite are trained where none are given.

    Raises:
        ConfigError: a control is missing, and the suite does not come with its own.
    """
    from ..controls import nano_controls
    from ..errors import ConfigError
    from ..search.attack_bench import AttackBench
    from ..suites import SUITES
    from .progress import bar

    if not (target and retrain):
        if not SUITES[suite].embedded:
            raise ConfigError(f"suite {suite} comes without controls: give --target MODEL and --retrain MODEL")
        with bar("controls") as progress:
            known = nano_controls([suite], progress)
        target, retrain = target or known[0], retrain or known[1]
    size = str(options["batch_size"])
    folder = options.get("data_dir")
    run = {**options, "batch_size": int(size) if size.isdigit() else size, "data_dir": str(folder) if folder else None}
    return AttackBench.of(suite, {"model": model, "target": target, "retrain": retrain}, run)


def _print_trials(trials: Sequence[Trial]) -> None:
    """Print the strongest trials, how many there were of each outcome, and why the failed ones failed."""
    from tabulate import tabulate

    from ..leaderboard.scoring.board_table import percent

    usable = [trial for trial in trials if trial.outcome == "kept" and trial.leakage is not None]
    best = sorted(usable, key=lambda trial: -(trial.leakage or 0.0))[:SHOWN]
    heads = ("leakage (selecting half)", "utility kept", "steps", "attack")
    body = [(percent(trial.leakage), percent(trial.utility), trial.steps, trial.attack) for trial in best]
    typer.echo(tabulate(body, headers=heads, disable_numparse=True, colalign=("right", "right", "right", "left")))
    count = {outcome: sum(trial.outcome == outcome for trial in trials) for outcome in ("kept", "costly", "failed")}
    typer.echo(
        f"\n{len(trials)} trials: {count['kept']} within the utility bound, {count['costly']} beyond it, "
        f"{count['failed']} failed"
    )
    for trial in trials:
        if trial.outcome == "failed":
            typer.echo(f"  failed: {trial.attack}: {trial.reason}")


def _print_finding(record: Any) -> None:
    """Print the leakage of every metric on the reporting half."""
    from tabulate import tabulate

    from ..leaderboard.scoring.board_table import percent, with_interval
    from ..leaderboard.scoring.stats import Number

    def shown(span: Any) -> str:
        return with_interval(Number(span.value, span.low, span.high))

    body = [
        (f"{one.task} {one.metric}{' *' if one.chosen else ''}", percent(one.model), percent(one.retrain),
         percent(one.target), shown(one.leakage))
        for one in record.leaked
    ]  # fmt: skip
    heads = ("metric (* chosen on the other half)", "model", "retrain, attacked", "target", "leakage [95 %]")
    typer.echo(f"\nstrongest attack: {record.spec}")
    typer.echo(tabulate(body, headers=heads, disable_numparse=True, colalign=("left", *["right"] * 4)))
    typer.echo(f"utility kept: {shown(record.utility)}")


def mount(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(attack_app)
