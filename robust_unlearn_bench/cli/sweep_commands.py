"""rub sweep: every cell of a grid, their state, and a table of what they gave."""

from __future__ import annotations

import json
from collections import Counter
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    from ..sweep.carry_out import Ended

__all__ = ["mount"]


class RunByDefault(TyperGroup):
    """Group in which `rub sweep GRID.yaml` is short for `rub sweep run GRID.yaml`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put "run" before a first word that is no command."""
        if args and args[0] not in (*self.commands, "--help"):
            args = ["run", *args]
        return super().parse_args(ctx, args)


sweep_app = typer.Typer(
    name="sweep",
    cls=RunByDefault,
    help="Grids of unlearning runs and evaluations. `rub sweep GRID.yaml …` is short for `rub sweep run GRID.yaml …`.",
    no_args_is_help=True,
)


class EngineName(str, Enum):
    """Where cells run."""

    local = "local"
    ray = "ray"


def run(
    grid: Annotated[Path, typer.Argument(help="YAML file: suites × recipes × parameters × seeds × attacks.")],
    out: Annotated[Path, typer.Option(help="Folder of the sweep; what is done there is not done again.")],
    engine: Annotated[
        EngineName, typer.Option(help="This machine, or a Ray cluster (extra: sweep).")
    ] = EngineName.local,
    array: Annotated[str | None, typer.Option(help="i/n: only the i-th of n parts, for arrays of jobs.")] = None,
    retry: Annotated[bool, typer.Option("--retry", help="Try failed cells again.")] = False,
    workers: Annotated[int | None, typer.Option(min=1, help="Most cells at a time on this machine.")] = None,
    address: Annotated[str, typer.Option(help='Ray cluster; "local" starts one on this machine.')] = "auto",
) -> None:
    """Carry out a grid; when started again, it goes on with the cells that are not done.

    Exits with 1 when a cell has failed; the reasons are kept.

    Examples:
      rub sweep baselines/grids/nano_smoke.yaml --out smoke/

      rub sweep GRID.yaml --out SHARED/ --engine ray --address auto

      rub sweep GRID.yaml --out SHARED/ --array $SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT
    """
    from ..sweep.sweep_folder import array_part, run_sweep
    from ..sweep.sweep_grid import load_grid

    cells = array_part(load_grid(grid), array)
    seen = 0

    def report(title: str, ended: Ended) -> None:
        nonlocal seen
        seen += 1
        typer.echo(f"[{seen}/{len(cells)}] {ended.state}: {title}{f' ({ended.reason})' if ended.reason else ''}")

    ends = run_sweep(cells, out, engine=engine.value, workers=workers, address=address, retry=retry, report=report)
    typer.echo(_counts(ends) + (f"; reasons: rub sweep status {out}" if ends["failed"] else ""))
    raise typer.Exit(1 if ends["failed"] else 0)


def status(
    out: Annotated[Path, typer.Argument(help="Folder of a sweep.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Print how many cells are done, running, pending and failed, and why they failed.

    Example: rub sweep status smoke/
    """
    from ..sweep.sweep_folder import status as look

    found = look(out)
    if as_json:
        rows = [{"key": s.cell.key, "cell": s.cell.title, "state": s.state, "reason": s.reason} for s in found]
        typer.echo(json.dumps(rows, indent=2))
        return
    typer.echo(_counts(Counter(s.state for s in found)))
    for s in found:
        if s.state in ("failed", "running"):
            typer.echo(
                f"{s.state}: {s.cell.title}{f' ({s.reason})' if s.reason else ''}\n  {s.folder.path / 'log.txt'}"
            )


def table(
    out: Annotated[Path, typer.Argument(help="Folder of a sweep.")],
    mean: Annotated[bool, typer.Option("--mean", help="Mean and standard deviation over seeds.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Print what the cells gave, one row per cell and attack; cells without a result are rows with their state.

    Example: rub sweep table smoke/ --mean
    """
    from tabulate import tabulate

    from ..sweep.sweep_folder import status as look
    from ..sweep.sweep_table import over_seeds, table_rows

    rows = table_rows(look(out))
    rows = over_seeds(rows) if mean else rows
    typer.echo(json.dumps(rows, indent=2) if as_json else tabulate(rows, headers="keys", floatfmt=".4g"))


def _counts(states: Counter[Any]) -> str:
    return (
        ", ".join(f"{states[state]} {state}" for state in ("done", "failed", "running", "pending") if states[state])
        or "no cells"
    )


def mount(app: typer.Typer) -> None:
    """Attach the commands."""
    for command in (run, status, table):
        sweep_app.command()(command)
    app.add_typer(sweep_app)
