"""rub leaderboard …: validate, add, replay, rescore, compare, table, build, serve."""

from __future__ import annotations

import json
from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ..leaderboard.board import Board
    from ..leaderboard.store import Store

__all__ = ["leaderboard_app", "mount"]

leaderboard_app = typer.Typer(
    name="leaderboard", help="Records, scores and the page. To submit a model, see `rub submit`.", no_args_is_help=True
)

Root = Annotated[Path | None, typer.Option("--root", help="Leaderboard folder; default: this installation's.")]
By = Annotated[str, typer.Option(help="Who decides.")]
Reason = Annotated[str, typer.Option(help="Why, in one sentence.")]
Json = Annotated[bool, typer.Option("--json", help="For machines.")]


class Tier(str, Enum):
    """How far a row was checked."""

    self_reported = "self_reported"
    items_verified = "items_verified"
    replayed = "replayed"


class State(str, Enum):
    """Whether a row stands."""

    active = "active"
    quarantined = "quarantined"
    withdrawn = "withdrawn"
    superseded = "superseded"


class Form(str, Enum):
    """Formats of `rub leaderboard table`."""

    text = "text"
    markdown = "markdown"
    latex = "latex"


class Control(str, Enum):
    """The two ends of the scale."""

    target = "target"
    retrain = "retrain"


Least = Annotated[Tier, typer.Option(help="The weakest tier that is ranked.")]


@leaderboard_app.command()
def validate(
    records: Annotated[list[Path], typer.Argument(help="Record folders or record.json files.")],
    root: Root = None,
    model: Annotated[Path | None, typer.Option(help="Model folder, to check the weight hashes against.")] = None,
    as_json: Json = False,
) -> None:
    """Check records as CI does: schema, hashes, items, the suite's documents and attacks, whose model it is.

    Example: rub leaderboard validate records/mine

    Exits with 1 when a record may not stand on the board.
    """
    from ..errors import RecordError
    from ..leaderboard.entry import load
    from ..leaderboard.validate import check_weights
    from ..leaderboard.validate import validate as check

    store = _store(root)
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


@leaderboard_app.command()
def add(
    record: Annotated[Path, typer.Argument(help="Record folder.")],
    by: By = "maintainers",
    root: Root = None,
) -> None:
    """Validate a record and copy it into the leaderboard folder.

    Example: rub leaderboard add records/mine
    """
    from ..leaderboard.entry import load
    from ..leaderboard.validate import validate_for

    store = _store(root, new=True)
    entry = load(record)
    verdict = validate_for(store, entry)
    for finding in verdict.findings:
        typer.echo(str(finding), err=True)
    if not verdict.ok:
        typer.echo("not added", err=True)
        raise typer.Exit(1)
    folder = store.add(entry, tier=verdict.tier, by=by, reason=f"validated: {verdict.tier.replace('_', ' ')}")
    typer.echo(f"{folder}  {verdict.tier}")


@leaderboard_app.command()
def intake(
    head: Annotated[str, typer.Argument(help="Revision of the pull request.")],
    base: Annotated[str, typer.Option(help="Revision that it is to be merged into.")] = "HEAD",
    repository: Annotated[Path, typer.Option(help="Checkout of the base branch, with both in its history.")] = Path(
        "."
    ),
    github: Annotated[bool, typer.Option("--github", help="Print GitHub annotations.")] = False,
) -> None:
    """Judge a pull request that submits records, without checking it out.

    Example: rub leaderboard intake FETCH_HEAD --base origin/main

    Exits with 1 when it may not be merged.
    """
    from ..leaderboard.escape import github_data, github_property
    from ..leaderboard.intake import examine

    findings = examine(repository, base, head)
    for finding in findings:
        level = "error" if finding.level == "error" else "notice"
        where = github_property(finding.field)
        typer.echo(f"::{level} title={where}::{github_data(finding.message)}" if github else str(finding))
    wrong = sum(finding.level == "error" for finding in findings)
    typer.echo(f"{wrong} errors" if wrong else "may be merged")
    raise typer.Exit(1 if wrong else 0)


@leaderboard_app.command()
def anchor(
    record: Annotated[Path, typer.Argument(help="Record folder of the control.")],
    role: Annotated[Control, typer.Argument(help="Which end of the scale it is.")],
    root: Root = None,
) -> None:
    """Make a record the target or the retrain model of its suite version.

    Example: rub leaderboard anchor records/retrain retrain
    """
    from ..leaderboard.coverage import missing
    from ..leaderboard.entry import load

    entry = load(record)
    lacking = missing(entry.record.suite.name, {(r.task, r.attack) for r in entry.record.results})
    if lacking:
        typer.echo(f"note: {len(lacking)} cells of the standard set are missing; nobody is scored on them", err=True)
    typer.echo(_store(root, new=True).set_anchor(entry, role.value))


@leaderboard_app.command()
def replay(
    record: Annotated[str, typer.Argument(help="Submission id, or the beginning of it.")],
    results: Annotated[list[Path], typer.Argument(help="What lm_eval wrote when the model was measured again.")],
    repeatability: Annotated[
        float | None, typer.Option(help="Largest difference between two runs of one model; default: 0.02, a fraction.")
    ] = None,
    model: Annotated[Path | None, typer.Option(help="Folder of the replayed model.")] = None,
    accept: Annotated[bool, typer.Option("--accept", help="Note the tier 'replayed' when everything agrees.")] = False,
    by: By = "maintainers",
    root: Root = None,
) -> None:
    """Compare a record with results of a second run, cell by cell.

    Example: rub leaderboard replay 3f2a91 replayed/

    Exits with 1 when a cell disagrees.
    """
    from tabulate import tabulate

    from ..leaderboard.build import record_from_results
    from ..leaderboard.entry import load
    from ..leaderboard.replay import REPEATABILITY, agreement

    store = _store(root)
    tolerance = REPEATABILITY if repeatability is None else repeatability
    folder = store.find(record)
    cells = agreement(load(folder), record_from_results(results, model=model).entry, tolerance)
    typer.echo(tabulate([asdict(cell) for cell in cells], headers="keys", floatfmt=".4f"))
    disagree = [cell for cell in cells if not cell.within]
    typer.echo(f"{len(cells) - len(disagree)} of {len(cells)} cells agree within {tolerance:g}")
    if accept and not disagree:
        store.decide(folder.name, by=by, reason=f"replayed: {len(cells)} cells agree", tier="replayed")
    raise typer.Exit(1 if disagree else 0)


@leaderboard_app.command()
def quarantine(
    record: Annotated[str, typer.Argument(help="Submission id, or the beginning of it.")],
    reason: Reason,
    state: Annotated[State, typer.Option(help="What becomes of the row.")] = State.quarantined,
    by: By = "maintainers",
    root: Root = None,
) -> None:
    """Take a row out of the ranking (or back, with --state active); it stays visible with the reason.

    Example: rub leaderboard quarantine 3f2a91 --reason "the replay gave other numbers"
    """
    name = _store(root).decide(record, by=by, reason=reason, state=state.value)
    typer.echo(f"{name}: {state.value}")


@leaderboard_app.command()
def rescore(root: Root = None, least: Least = Tier.items_verified) -> None:
    """Compute all scores anew and write them to scores/; print every row that changed.

    Example: rub leaderboard rescore
    """
    from ..leaderboard.rescore import rescore as run
    from ..leaderboard.table import percent

    store = _store(root)
    boards = _boards(store, None, least)
    changes = run(boards, store.root / "scores")
    for change in changes:
        scores = " → ".join(percent(value) for value in change.score)
        places = " → ".join("–" if rank is None else str(rank) for rank in change.rank)
        typer.echo(f"{change.suite}  {change.model}: score {scores}, rank {places}")
    typer.echo(f"{len(boards)} boards, {sum(len(b.rows) for b in boards)} rows, {len(changes)} changed")


@leaderboard_app.command()
def compare(
    a: Annotated[str, typer.Argument(help="Submission id, or the beginning of it.")],
    b: Annotated[str, typer.Argument(help="Another one.")],
    root: Root = None,
    as_json: Json = False,
) -> None:
    """Paired difference of two rows, with interval and p-value, cell by cell.

    Example: rub leaderboard compare 3f2a91 77c04e
    """
    from tabulate import tabulate

    from ..errors import RecordError
    from ..leaderboard.compare import compare as run
    from ..leaderboard.entry import load
    from ..leaderboard.table import percent, with_interval

    store = _store(root)
    first, second = (load(store.find(name), store.standing(store.find(name).name)) for name in (a, b))
    key = (first.record.suite.name, first.record.suite.version)
    anchors = store.anchors().get(key)
    if anchors is None:
        raise RecordError(
            f"suite {' '.join(key)} has no anchors in {store.root}; add them with `rub leaderboard anchor`"
        )
    done = run(first, second, *anchors)
    lines = [done.score, *done.leakage, *done.utility]
    if as_json:
        typer.echo(json.dumps({"p": done.p, "differences": [asdict(line) for line in lines]}, indent=2))
        return
    heads = ("", first.record.display_name, second.record.display_name, "difference [95 %]")
    body = [(d.what, percent(d.a), percent(d.b), with_interval(d.difference)) for d in lines]
    typer.echo(tabulate(body, headers=heads, disable_numparse=True, colalign=("left", "right", "right", "right")))
    if done.p is not None:
        typer.echo(f"difference of scores: p = {done.p:.3g} (paired cluster bootstrap, two-sided)")


@leaderboard_app.command()
def table(
    form: Annotated[Form, typer.Option("--format", help="Where it goes.")] = Form.text,
    suite: Annotated[str | None, typer.Option(help="Only this suite.")] = None,
    root: Root = None,
    least: Least = Tier.items_verified,
) -> None:
    """Print the ranking for a terminal, a README or a paper.

    Example: rub leaderboard table --format latex
    """
    from ..leaderboard.export import table_text

    for board in _boards(_store(root), suite, least):
        typer.echo(table_text(board, form.value) + "\n")


@leaderboard_app.command()
def export(
    out: Annotated[Path, typer.Option(help="Folder to write to.")] = Path("every_eval"),
    root: Root = None,
    least: Least = Tier.items_verified,
) -> None:
    """Write every row in the format of the Every Eval Ever database, one JSON file a submission.

    Example: rub leaderboard export --out every_eval
    """
    from ..leaderboard.every_eval import every_eval_files

    count = 0
    for board in _boards(_store(root), None, least):
        for name, content in every_eval_files(board).items():
            path = out / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            count += 1
    typer.echo(f"{count} files in {out}")


@leaderboard_app.command()
def build(
    out: Annotated[Path, typer.Option(help="Folder of the site.")] = Path("site"),
    root: Root = None,
    least: Least = Tier.items_verified,
) -> None:
    """Write the static site; it opens from the file system.

    Example: rub leaderboard build --out site
    """
    from ..leaderboard.page import build_page

    store = _store(root)
    reported = store.reported()
    boards = store.boards(least.value) if reported else _boards(store, None, least)
    typer.echo(build_page(boards, out, reported).resolve().as_uri())


@leaderboard_app.command()
def serve(
    site: Annotated[Path, typer.Argument(help="Folder of the site.")] = Path("site"),
    port: Annotated[int, typer.Option(help="0 picks a free one.")] = 8000,
) -> None:
    """Preview a built site on this machine.

    Example: rub leaderboard serve site
    """
    from functools import partial
    from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

    from ..errors import ConfigError

    if not (site / "index.html").is_file():
        raise ConfigError(f"{site} holds no index.html; build it with `rub leaderboard build --out {site}`")
    with ThreadingHTTPServer(("127.0.0.1", port), partial(SimpleHTTPRequestHandler, directory=str(site))) as server:
        typer.echo(f"http://127.0.0.1:{server.server_address[1]}/  (Ctrl-C ends it)")
        server.serve_forever()


@leaderboard_app.command()
def schema(out: Annotated[Path | None, typer.Option(help="Folder; default: print.")] = None) -> None:
    """The JSON Schema of a record, for other tools.

    Example: rub leaderboard schema --out leaderboard/schema
    """
    from ..leaderboard.sealing import json_schema
    from ..leaderboard.strict_json import pretty

    raw = pretty(json_schema())
    if out is None:
        typer.echo(raw.decode(), nl=False)
        return
    out.mkdir(parents=True, exist_ok=True)
    (out / "record-v1.json").write_bytes(raw)


def mount(app: typer.Typer) -> None:
    """Add the commands."""
    from .gate import gate_app

    app.add_typer(leaderboard_app)
    app.add_typer(gate_app)


def _store(root: Path | None, *, new: bool = False) -> Store:
    from ..errors import ConfigError
    from ..leaderboard.store import Store
    from ..paths import leaderboard_dir

    if root is not None and not new and not root.is_dir():
        raise ConfigError(f"--root {root} is no folder; `rub leaderboard anchor` begins one with a control")
    return Store(root or leaderboard_dir())


def _boards(store: Store, suite: str | None, least: Tier) -> list[Board]:
    from ..errors import RecordError, UnknownNameError

    boards = store.boards(least.value)
    if not boards:
        raise RecordError(f"{store.root} has no anchors, so nothing is scored; add them with `rub leaderboard anchor`")
    if suite is not None and suite not in [board.suite for board in boards]:
        raise UnknownNameError("suite of the leaderboard", suite, [board.suite for board in boards])
    return [board for board in boards if suite in (None, board.suite)]


def _within(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())
