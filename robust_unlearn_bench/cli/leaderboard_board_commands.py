"""rub leaderboard rescore, compare, table, export, build, serve, schema: scores, tables and pages from the records."""

from __future__ import annotations

import json
from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .leaderboard_options import Json, Least, Root, Tier, open_store

if TYPE_CHECKING:
    from ..leaderboard.scoring.board import Board
    from ..leaderboard.store import Store

__all__ = ["build", "compare", "export", "rescore", "schema", "serve", "table"]


class Form(str, Enum):
    """Formats of `rub leaderboard table`."""

    text = "text"
    markdown = "markdown"
    latex = "latex"


def rescore(
    root: Root = None,
    least: Least = Tier.recomputed,
    since: Annotated[
        str | None, typer.Option(help="Compare with the kept scores of this version of the scorer, such as 1.0.")
    ] = None,
) -> None:
    """Recompute all scores, write them to scores/, and print every row that changed, both families included.

    The scores of another scorer are kept in scores/scorer-VERSION/.

    Example: rub leaderboard rescore --since 1.0
    """
    from tabulate import tabulate

    from ..leaderboard.rescore import rescore as run
    from ..leaderboard.scoring.board_table import percent

    store = open_store(root)
    boards = _boards(store, None, least)
    changes = run(boards, store.root / "scores", since=since)
    body = [
        (
            change.suite,
            change.model,
            *(" → ".join(percent(value) for value in pair) for pair in (change.score, change.says, change.holds)),
            " → ".join("–" if rank is None else str(rank) for rank in change.rank),
        )
        for change in changes
    ]
    if body:
        heads = ("suite", "model", "score", "says", "holds", "rank")
        typer.echo(tabulate(body, headers=heads, disable_numparse=True, colalign=("left", "left", *["right"] * 4)))
    if scorers := dict.fromkeys(c.scorer for c in changes if c.scorer[0] not in (None, c.scorer[1])):
        typer.echo("; ".join(f"scorer {before} → {after}" for before, after in scorers))
    typer.echo(f"{len(boards)} boards, {sum(len(b.rows) for b in boards)} rows, {len(changes)} changed")


def compare(
    a: Annotated[str, typer.Argument(help="Submission id, or a prefix of it.")],
    b: Annotated[str, typer.Argument(help="Another submission id, or a prefix of it.")],
    root: Root = None,
    as_json: Json = False,
) -> None:
    """Print the paired difference of two rows, with interval and p-value, cell by cell.

    Example: rub leaderboard compare 3f2a91 77c04e
    """
    from tabulate import tabulate

    from ..errors import RecordError
    from ..leaderboard.record.entry import load
    from ..leaderboard.scoring.board_table import percent, with_interval
    from ..leaderboard.scoring.compare import compare as run

    store = open_store(root)
    first, second = (load(store.find(name), store.standing(store.find(name).name)) for name in (a, b))
    key = (first.record.suite.name, first.record.suite.version)
    anchors = store.anchors().get(key)
    if anchors is None:
        raise RecordError(
            f"suite {' '.join(key)} has no anchors in {store.root}; add them with `rub leaderboard anchor`"
        )
    done = run(first, second, *anchors)
    lines = [done.score, *done.families, *done.leakage, *done.utility]
    if as_json:
        typer.echo(json.dumps({"p": done.p, "differences": [asdict(line) for line in lines]}, indent=2))
        return
    heads = ("", first.record.display_name, second.record.display_name, "difference [95 %]")
    body = [(d.what, percent(d.a), percent(d.b), with_interval(d.difference)) for d in lines]
    typer.echo(tabulate(body, headers=heads, disable_numparse=True, colalign=("left", "right", "right", "right")))
    if done.p is not None:
        typer.echo(f"difference of scores: p = {done.p:.3g} (paired cluster bootstrap, two-sided)")


def table(
    form: Annotated[Form, typer.Option("--format", help="Format of the table.")] = Form.text,
    suite: Annotated[str | None, typer.Option(help="Only this suite.")] = None,
    root: Root = None,
    least: Least = Tier.recomputed,
) -> None:
    """Print the ranking for a terminal, a README or a paper.

    Example: rub leaderboard table --format latex
    """
    from ..leaderboard.page.export import table_text

    for board in _boards(open_store(root), suite, least):
        typer.echo(table_text(board, form.value) + "\n")


def export(
    out: Annotated[Path, typer.Option(help="Folder to write to.")] = Path("every_eval"),
    root: Root = None,
    least: Least = Tier.recomputed,
) -> None:
    """Write every row in the format of the Every Eval Ever database, one JSON file per submission.

    Example: rub leaderboard export --out every_eval
    """
    from ..leaderboard.page.every_eval_ever import every_eval_files

    count = 0
    for board in _boards(open_store(root), None, least):
        for name, content in every_eval_files(board).items():
            path = out / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            count += 1
    typer.echo(f"{count} files in {out}")


def build(
    out: Annotated[Path, typer.Option(help="Folder of the site.")] = Path("site"),
    root: Root = None,
    least: Least = Tier.recomputed,
) -> None:
    """Write the static site, which also opens from the file system.

    Example: rub leaderboard build --out site
    """
    from ..leaderboard.page.site import build_page

    store = open_store(root)
    reported = store.reported()
    boards = store.boards(least.value) if reported else _boards(store, None, least)
    typer.echo(build_page(boards, out, reported).resolve().as_uri())


def serve(
    site: Annotated[Path, typer.Argument(help="Folder of the site.")] = Path("site"),
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 picks a free one.")] = 8000,
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
        typer.echo(f"http://127.0.0.1:{server.server_address[1]}/  (Ctrl-C to stop)")
        server.serve_forever()


def schema(out: Annotated[Path | None, typer.Option(help="Folder to write to; default: print.")] = None) -> None:
    """Print or write the JSON Schema of a record, for other tools.

    Example: rub leaderboard schema --out leaderboard/schema
    """
    from ..leaderboard.record.sealing import json_schema
    from ..leaderboard.record.strict_json import pretty

    raw = pretty(json_schema())
    if out is None:
        typer.echo(raw.decode(), nl=False)
        return
    out.mkdir(parents=True, exist_ok=True)
    (out / "record-v1.json").write_bytes(raw)


def _boards(store: Store, suite: str | None, least: Tier) -> list[Board]:
    from ..errors import RecordError, UnknownNameError

    boards = store.boards(least.value)
    if not boards:
        raise RecordError(f"{store.root} has no anchors, so nothing is scored; add them with `rub leaderboard anchor`")
    if suite is not None and suite not in [board.suite for board in boards]:
        raise UnknownNameError("suite of the leaderboard", suite, [board.suite for board in boards])
    return [board for board in boards if suite in (None, board.suite)]
