"""The page in headless Chromium, driven by playwright-core, examined by axe.

Chromium and node come from the distribution (apt-get install chromium npm), playwright-core and axe-core by `make slow`
into .venv/browser, or by hand: npm install --prefix FOLDER playwright-core axe-core, and RUB_BROWSER=FOLDER.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from simulated_records import World

from robust_unlearn_bench.leaderboard.page.site import build_page, render
from robust_unlearn_bench.leaderboard.record.entry import Entry
from robust_unlearn_bench.leaderboard.record.events import Event, Standing
from robust_unlearn_bench.leaderboard.record.reported import read_reported
from robust_unlearn_bench.leaderboard.scoring.board import Board
from robust_unlearn_bench.leaderboard.scoring.scorer import score

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
CHECKS = (
    "no script",
    "sort, back and permalink over file",
    "sort, back and permalink over http",
    "missing values sort last both ways",
    "filters",
    "compare two rows",
    "a thousand rows are there within a second",
    "a thousand rows without script",
    "keyboard alone",
    "links lead to the model's page and back",
    *(f"{page} fits 320 px" for page in ("index", "model", "published")),
    *(f"{page} is accessible in {m} mode" for page in ("index", "model", "published") for m in ("light", "dark")),
    "print",
)


@pytest.fixture(scope="module")
def tools(root: Path) -> tuple[str, str, str]:
    """Paths of node, Chromium and the folder of node modules."""
    node = shutil.which("node")
    chromium = next(
        (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
    )
    folders = [os.environ.get("RUB_BROWSER"), root / ".venv" / "browser"]
    modules = next(
        (p for f in folders if f and (p := Path(f).resolve() / "node_modules").joinpath("playwright-core").is_dir()),
        None,
    )
    if node is None or chromium is None or modules is None:
        lacking = [n for n, x in (("node", node), ("chromium", chromium), ("playwright-core", modules)) if x is None]
        pytest.skip(f"{', '.join(lacking)} not found: see the head of tests/leaderboard/{Path(__file__).name}")
    return node, chromium, str(modules)


@pytest.fixture(scope="module")
def site(
    tmp_path_factory: pytest.TempPathFactory,
    world: World,
    cast: dict[str, Entry],
    make_levels: Callable[..., Any],
    root: Path,
) -> Path:
    rows = list(cast.values())
    for i, (optimizer, level) in enumerate((("hybrid", 0.5), ("signadam", 0.6), ("ada_zo", 0.4), ("sam", 0.7))):
        forget = [0.1, 0.15, 0.3, level - 0.05, level]
        rows.append(
            world.entry(
                f"SimNPO {optimizer}",
                make_levels(forget, [0.7 + 0.03 * i] * 5),
                objective="simnpo",
                optimizer=optimizer,
            )
        )
    some = {a: x for a, x in make_levels([0.1] * 5, [0.8] * 5).items() if a != "relearn50"}
    rows.append(world.entry("Partial", some, objective="npo", optimizer="adam"))
    rows.append(
        Entry(world.entry("No items", make_levels([0.2] * 5, [0.8] * 5), objective="npo", optimizer="lion").record, {})
    )
    event = Event(at="2026-01-05T00:00:00Z", by="maintainers", reason="replay gave other numbers", state="quarantined")
    rows.append(
        replace(
            world.entry("Quarantined", make_levels([0.2] * 5, [0.8] * 5)),
            standing=Standing("replayed", "quarantined", (event,)),
        )
    )
    board = score(rows, cast["target"], cast["retrain"], replicates=200)
    out = tmp_path_factory.mktemp("site")
    build_page([board], out, [read_reported(p) for p in sorted((root / "leaderboard" / "reported").glob("*.json"))])
    page = render([lengthened(board, 1000)])["index.html"]
    assert len(page) < 1_500_000
    (out / "long.html").write_bytes(page)
    return out


def lengthened(board: Board, count: int) -> Board:
    """The same board with so many ranked rows, each a little below the one before it."""
    first, controls = next(r for r in board.rows if r.rank), [board.target, board.retrain]
    rows = []
    for i in range(count):
        record = first.record.model_copy(
            update={"submission_id": f"rub1-{i:010d}{'0' * 22}", "display_name": f"Row {i:04d}."}
        )
        score = replace(first.score, value=0.999 - i / 1010)
        rows.append(replace(first, entry=replace(first.entry, record=record), score=score, rank=i + 1))
    return replace(board, rows=(*rows, *controls))


@pytest.fixture(scope="module")
def results(tools: tuple[str, str, str], site: Path) -> dict[str, str | None]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            pass

    node, chromium, modules = tools
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/"
        command = [node, str(HERE / "browser.mjs"), chromium, modules, str(site), url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        server.shutdown()
    assert done.returncode == 0, done.stderr[-3000:]
    told: dict[str, str | None] = json.loads(done.stdout.splitlines()[-1])
    return told


def test_every_check_ran(results: dict[str, str | None]) -> None:
    assert set(results) == set(CHECKS)


@pytest.mark.parametrize("name", CHECKS)
def test_in_the_browser(results: dict[str, str | None], name: str) -> None:
    assert results[name] is None, results[name]
