"""rub plan: what an evaluation will need, before anything is loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import ModelError

__all__ = ["mount"]


def plan(
    tasks: Annotated[str, typer.Argument(help="Task or group names, separated by commas: muse_books_robust")],
    model: Annotated[str, typer.Option(help="Model folder or hub name; only its config.json is read.")],
    attacks: Annotated[
        str | None, typer.Option(help="Put every task under each of these attacks, separated by semicolons or spaces.")
    ] = None,
    suite: Annotated[str | None, typer.Option(help="Suite whose text the attacks on lm-eval's own tasks use.")] = None,
    dtype: Annotated[str, typer.Option(help="Dtype of the weights: auto, float32, bfloat16, …")] = "auto",
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, …")] = None,
    device_memory: Annotated[
        str | None, typer.Option(help="Memory of the device to plan for, such as 24GB; default: what is free here.")
    ] = None,
    host_memory: Annotated[
        str | None, typer.Option(help="CPU memory to plan for, such as 128GB; default: what is free here.")
    ] = None,
    rate: Annotated[
        float | None, typer.Option(help="Speed of bf16 matrix products in TFLOP/s; default: measured here.")
    ] = None,
    snapshot: Annotated[str, typer.Option(envvar="RUB_SNAPSHOT", help="As for rub eval: cpu, disk, reload.")] = "cpu",
    data_dir: Annotated[
        Path | None, typer.Option(envvar="RUB_DATA", help="Local mirror of the data, to count documents.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Print memory, operations and estimated time of every attack and of the evaluation; nothing is loaded.

    Exits with 2 if something fits under no placement.

    Examples:
      rub plan muse_books_robust --model meta-llama/Llama-2-7b-hf --device-memory 24GB --host-memory 128GB

      rub plan nano_books_robust --model DIR --attacks "relearn100 gptq4"
    """
    from tabulate import tabulate

    from ..harness.forecast import forecast, machine
    from ..training.machine import duration
    from ..training.placement import gigabytes
    from .eval_commands import specs

    found = forecast(
        model,
        [task.strip() for task in tasks.split(",") if task.strip()],
        *machine(device, device_memory, host_memory, rate),
        attacks=specs(attacks or ""),
        suite=suite,
        dtype=dtype,
        data_dir=str(data_dir) if data_dir else None,
        snapshot=snapshot,
    )
    if found is None:
        raise ModelError(f"{model} is an adapter, quantised or no causal language model: plan with its base checkpoint")
    if as_json:
        keys = ("work", "placement")
        lines: list[dict[str, Any]] = [
            {
                **{key: row[key] for key in keys},
                **(line.needs._asdict() if line.needs else {}),
                **(line.work._asdict() if line.work else {}),
                "refusal": line.refusal or None,
            }
            for line, row in zip(found.lines, found.rows, strict=True)
        ]
        typer.echo(json.dumps({"plan": lines, "snapshot": found.snapshot, "seconds": found.seconds}))
    else:
        typer.echo(tabulate(found.rows, headers="keys", disable_numparse=True))
        if found.snapshot:
            typer.echo(
                f"and {gigabytes(found.snapshot)} of CPU memory for the original weights (--snapshot disk keeps them on disk)"
            )
        for note in found.notes:
            typer.echo(note)
        rates = found.rates
        typer.echo(
            f"about {duration(found.seconds)} at {rates.operations / 1e12:.3g} TFLOP/s and {rates.read / 1e9:.3g} GB/s"
        )
    found.refuse()


def mount(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(plan)
