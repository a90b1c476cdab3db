"""rub leaderboard validate, add, intake, anchor, replay, quarantine: admission of records to the board."""

from __future__ import annotations

import json
from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from .leaderboard_options import Json, Root, open_store

__all__ = ["add", "anchor", "intake", "quarantine", "replay", "validate"]

By = Annotated[str, typer.Option(help="Name of the person or group that decides.")]
Reason = Annotated[str, typer.Option(help="Reason, in one sentence.")]


class State(str, Enum):
    """States of a row on the board."""

    active = "active"
    quarantined = "quarantined"
    withdrawn = "withdrawn"
    superseded = "superseded"


class Control(str, Enum):
    """The two ends of the scale."""

    target = "target"
    retrain = "retrain"


def validate(
    records: Annotated[list[Path], typer.Argument(help="Record folders or record.json files.")],
    root: Root = None,
    model: Annotated[Path | None, typer.Option(help="Model folder to check the weight hashes against.")] = None,
    as_json: Json = False,
) -> None:
    """Check records as CI does: schema, hashes, items, the suite's documents and attacks, the model's identity.

    Example: rub leaderboard validate records/mine

    Exits with 1 when a record cannot be added to the board.
    """
    from ..errors import RecordError
    from ..leaderboard.check.validate import check_weights
    from ..leaderboard.check.validate import validate as check
    from ..leaderboard.record.entry import load

    store = open_store(root)
    anchors, others = store.anchors(), store.entries()
    report = []
    for path in records:
        try:
            entry = load(path)
        except RecordError as error:
            report.append({"record": str(path), "ok": False, "tier": None, "findings": [f"error: {error}"]})
            continue
        suite = entry.record.suite
        there = [other for other in others if other.id != entry.id or not _within(path, store.root)]
        verdict = check(entry, anchors.get((suite.name, suite.version)), there)
        more = check_weights(entry.record, model) if model else []
        findings = [str(finding) for finding in (*more, *verdict.findings)]
        report.append({"record": str(path), "ok": verdict.ok and not more, "tier": verdict.tier, "findings": findings})
    if as_json:
        typer.echo(json.dumps(report, indent=2))
    else:
        for line in report:
            typer.echo(f"{line['record']}: {'valid, ' + str(line['tier']) if line['ok'] else 'NOT valid'}")
            for finding in line["findings"]:  # type: ignore[attr-defined]  # a list, as written above
                typer.echo(f"  {finding}")
    raise typer.Exit(0 if all(line["ok"] for line in report) else 1)


def add(
    record: Annotated[Path, typer.Argument(help="Record folder.")],
    by: By = "maintainers",
    root: Root = None,
) -> None:
    """Validate a record and copy it into the leaderboard folder.

    Example: rub leaderboard add records/mine
    """
    from ..leaderboard.check.validate import validate_for
    from ..leaderboard.record.entry import load

    store = open_store(root, new=True)
    entry = load(record)
    verdict = validate_for(store, entry)
    for finding in verdict.findings:
        typer.echo(str(finding), err=True)
    if not verdict.ok:
        typer.echo("not added", err=True)
        raise typer.Exit(1)
    folder = store.add(entry, tier=verdict.tier, by=by, reason=f"validated: {verdict.tier.replace('_', ' ')}")
    typer.echo(f"{folder}  {verdict.tier}")


def intake(
    head: Annotated[str, typer.Argument(help="Revision of the pull request.")],
    base: Annotated[str, typer.Option(help="Revision to merge it into.")] = "HEAD",
    repository: Annotated[
        Path, typer.Option(help="Checkout of the base branch, which has both in its history.")
    ] = Path("."),
    github: Annotated[bool, typer.Option("--github", help="Print GitHub annotations.")] = False,
) -> None:
    """Judge a pull request that submits records, without checking it out.

    Example: rub leaderboard intake FETCH_HEAD --base origin/main

    Exits with 1 when it may not be merged.
    """
    from ..leaderboard.check.intake import examine
    from ..leaderboard.escape import github_data, github_property

    findings = examine(repository, base, head)
    for finding in findings:
        level = "error" if finding.level == "error" else "notice"
        where = github_property(finding.field)
        typer.echo(f"::{level} title={where}::{github_data(finding.message)}" if github else str(finding))
    wrong = sum(finding.level == "error" for finding in findings)
    typer.echo(f"{wrong} errors" if wrong else "may be merged")
    raise typer.Exit(1 if wrong else 0)


def anchor(
    record: Annotated[Path, typer.Argument(help="Record folder of the control.")],
    role: Annotated[Control, typer.Argument(help="End of the scale that the control marks.")],
    root: Root = None,
) -> None:
    """Make a record the target or the retrain model of its suite version.

    Example: rub leaderboard anchor records/retrain retrain
    """
    from ..leaderboard.build.coverage import missing
    from ..leaderboard.record.entry import load

    entry = load(record)
    lacking = missing(entry.record.suite.name, {(r.task, r.attack) for r in entry.record.results})
    if lacking:
        typer.echo(f"note: {len(lacking)} cells of the standard set are missing; no model is scored on them", err=True)
    typer.echo(open_store(root, new=True).set_anchor(entry, role.value))


def replay(
    record: Annotated[str, typer.Argument(help="Submission id, or a prefix of it.")],
    results: Annotated[list[Path], typer.Argument(help="Results of lm_eval from evaluating the model again.")],
    repeatability: Annotated[
        float | None, typer.Option(help="Largest difference between two runs of one model; default: 0.02, a fraction.")
    ] = None,
    model: Annotated[Path | None, typer.Option(help="Folder of the replayed model.")] = None,
    accept: Annotated[
        bool,
        typer.Option("--accept", help="Note that the row was re-run, if every cell was measured again and agrees."),
    ] = False,
    by: By = "maintainers",
    root: Root = None,
) -> None:
    """Compare a record with results of a second run, cell by cell.

    Example: rub leaderboard replay 3f2a91 replayed/

    Exits with 1 when a cell disagrees, was not measured again, or the differences favour the submitter.
    """
    from tabulate import tabulate

    from ..leaderboard.build.from_results import record_from_results
    from ..leaderboard.check.replay import REPEATABILITY, replayed
    from ..leaderboard.record.entry import load

    store = open_store(root)
    tolerance = REPEATABILITY if repeatability is None else repeatability
    folder = store.find(record)
    found = replayed(load(folder), record_from_results(results, model=model).entry, tolerance)
    typer.echo(tabulate([asdict(cell) for cell in found.cells], headers="keys", floatfmt=".4f"))
    agree = sum(cell.within for cell in found.cells)
    typer.echo(f"{agree} of {len(found.cells)} cells agree within {tolerance:g}")
    for objection in found.objections:
        typer.echo(f"not re-run: {objection}")
    if accept and not found.objections:
        store.decide(folder.name, by=by, reason=f"re-run: all {agree} cells agree", tier="replayed")
    raise typer.Exit(1 if found.objections else 0)


def quarantine(
    record: Annotated[str, typer.Argument(help="Submission id, or a prefix of it.")],
    reason: Reason,
    state: Annotated[State, typer.Option(help="New state of the row.")] = State.quarantined,
    by: By = "maintainers",
    root: Root = None,
) -> None:
    """Take a row out of the ranking (or back, with --state active); it stays visible with the reason.

    Example: rub leaderboard quarantine 3f2a91 --reason "the replay gave other numbers"
    """
    name = open_store(root).decide(record, by=by, reason=reason, state=state.value)
    typer.echo(f"{name}: {state.value}")


def _within(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())
