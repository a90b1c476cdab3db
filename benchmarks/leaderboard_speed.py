"""Time and size of a large board: read, score with 2,000 replicates, build the page, gate 20,000 documents.

    python benchmarks/leaderboard_speed.py [rows=1000]

The records are simulated (three tasks of 80 documents, five attacks) and written to a temporary folder first.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from simulated_records import World

from robust_unlearn_bench.leaderboard.gate.config import Gate, Gated
from robust_unlearn_bench.leaderboard.gate.verdict import check
from robust_unlearn_bench.leaderboard.page.site import build_page
from robust_unlearn_bench.leaderboard.store import Store

ATTACKS = ("none", "gptq4", "relearn10", "relearn20", "relearn50")
METHODS = ("adam", "signadam", "sam", "ada_zo", "hybrid", "sophia", "lion")


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Print how long the block took."""
    started = time.perf_counter()
    yield
    print(f"{what:44} {time.perf_counter() - started:8.2f} s", flush=True)


def fill(store: Store, rows: int) -> None:
    """Controls and as many models as asked for."""
    world, rng = World(), np.random.default_rng(0)

    def levels(forget: list[float], keep: float) -> dict[str, dict[str, float]]:
        return {
            a: {"verbmem": x, "knowmem_forget": 0.9 * x, "knowmem_retain": keep}
            for a, x in zip(ATTACKS, forget, strict=True)
        }

    base = [0.15, 0.15, 0.25, 0.3, 0.4]
    store.set_anchor(world.entry("Target", levels([0.95] * 5, 0.9), kind="target"), "target")
    store.set_anchor(world.entry("Retrain", levels(base, 0.9), kind="retrain"), "retrain")
    for i in range(rows):
        leak = np.sort(rng.uniform(0, 0.9, 5))
        forget = [float(g + x * (0.95 - g)) for g, x in zip(base, leak, strict=True)]
        entry = world.entry(
            f"Model {i}",
            levels(forget, float(rng.uniform(0.4, 0.9))),
            objective="npo",
            optimizer=METHODS[i % len(METHODS)],
        )
        store.add(entry, tier="recomputed", by="benchmark", reason="simulated")


if __name__ == "__main__":
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with TemporaryDirectory() as scratch:
        store = Store(Path(scratch) / "board")
        with timed(f"simulate {rows} records"):
            fill(store, rows)
        with timed("read and check every record and item file"):
            store.entries()
        with timed("read and score all (rub leaderboard rescore)"):
            boards = store.boards()
        with timed("build the site"):
            page = build_page(boards, Path(scratch) / "site")
        print(f"{'index.html':44} {page.stat().st_size / 1000:8.0f} kB")
        big = World(clusters=20_000, documents=1, spread=0.0)
        level = {"none": {"verbmem": 0.5, "knowmem_forget": 0.5, "knowmem_retain": 0.5}}
        old, new = big.entry("a", level), big.entry("b", level)
        gate = Gate(metric=[Gated(task="nano_books_verbmem", metric="rougeL_f1", worse="up", margin=0.05)])
        with timed("gate one metric of 20,000 documents"):
            check(old, new, gate)
