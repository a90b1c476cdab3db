"""rub gate …: fail a CI job when unlearning robustness regresses."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["gate_app"]

gate_app = typer.Typer(
    name="gate", help="Fail a CI job when a candidate record is worse than a baseline.", no_args_is_help=True
)

Config = Annotated[Path, typer.Option(help="Configuration: the gated metrics and their margins.")]


@gate_app.command()
def check(
    baseline: Annotated[Path, typer.Argument(help="Record folder or file of the reference.")],
    candidate: Annotated[Path, typer.Argument(help="Record folder or file to judge.")],
    config: Config = Path("gate.toml"),
    json_out: Annotated[Path | None, typer.Option("--json", help="Write the result to this file as JSON.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Append a job summary in Markdown to this file.")] = None,
    junit: Annotated[Path | None, typer.Option(help="Write the result to this file as JUnit XML.")] = None,
    github: Annotated[bool, typer.Option("--github", help="Also print GitHub annotations.")] = False,
) -> None:
    """Judge a candidate against a baseline, document by document.

    Example: rub gate check records/released records/candidate --config gate.toml

    Exit codes: 0 held or improved · 1 regressed · 2 inconclusive (unless the policy is warn) · 3 invalid.
    """
    from ..errors import RubError
    from ..leaderboard import gate
    from ..leaderboard.gate import report as gate_report

    try:
        result = gate.check(baseline, candidate, config)
        if json_out:
            json_out.write_bytes(gate_report.as_json(result))
        if junit:
            junit.write_bytes(gate_report.as_junit(result))
        if markdown:
            with markdown.open("a", encoding="utf-8") as file:
                file.write(gate_report.as_markdown(result))
    except (OSError, ValueError, RubError) as error:  # 1 and 2 would read as verdicts
        typer.echo(f"rub: {error}", err=True)
        raise typer.Exit(3) from error
    typer.echo(result.summary())
    if github:
        typer.echo(gate_report.as_annotations(result), nl=False)
    raise typer.Exit(result.exit_code)


@gate_app.command()
def init(
    baseline: Annotated[Path, typer.Argument(help="Record folder or file of the reference.")],
    out: Annotated[Path, typer.Option(help="Configuration to write.")] = Path("gate.toml"),
    margin: Annotated[
        float, typer.Option(help="Smallest change that matters, as a fraction; nano suites need 0.1 or more.")
    ] = 0.05,
) -> None:
    """Write a commented configuration for a baseline.

    Example: rub gate init records/released
    """
    from ..errors import ConfigError
    from ..leaderboard.gate.config import draft
    from ..leaderboard.record.entry import load

    if out.exists():
        raise ConfigError(f"{out} exists; remove it first, or write elsewhere with --out")
    if not 0 < margin < 1:
        raise ConfigError(f"--margin {margin:g} is not a fraction between 0 and 1; 0.05 means five percentage points")
    out.write_text(draft(load(baseline), margin), encoding="utf-8")
    typer.echo(f"{out}: review the margins, then run `rub gate check {baseline} CANDIDATE --config {out}`")


@gate_app.command()
def calibrate(
    runs: Annotated[list[Path], typer.Argument(help="Records of one model, measured at least five times.")],
    config: Config = Path("gate.toml"),
    out: Annotated[Path, typer.Option(help="Calibration to write.")] = Path("calibration.json"),
) -> None:
    """Measure how repeatable the gated metrics are; margins below 2.8 standard deviations are refused from then on.

    Example: rub gate calibrate runs/*
    """
    from ..errors import ConfigError
    from ..leaderboard import gate
    from ..leaderboard.gate.config import SAFE, read_gate
    from ..leaderboard.record.entry import load
    from ..leaderboard.record.strict_json import pretty

    described, _ = read_gate(config)
    found = gate.calibrate([load(path) for path in runs], described)
    narrow = [gated for gated in described.metric if gated.margin < SAFE * found.sd[gated.cell]]
    for gated in described.metric:
        sd = found.sd[gated.cell]
        typer.echo(f"{gated.cell}: SD {sd:.4f}, margin {gated.margin:g}{'  TOO NARROW' if gated in narrow else ''}")
    out.write_bytes(pretty(found.model_dump(mode="json")))
    typer.echo(f'{out}: refer to it in {config} with calibration = "{out.name}"')
    if narrow:
        raise ConfigError(f"{len(narrow)} margins are below {SAFE:g} standard deviations; widen them in {config}")
