"""How far two measurements of one model differ: what `rub leaderboard replay` may call agreement.

    python benchmarks/leaderboard_repeatability.py MODEL [--suite nano_books] [--out repeats] [--threads 1 2] [--seeds 1 2]

Measures the model on the whole suite without any cached answer: once as it would be submitted (one thread, whole
batches), once more the same way, then with every other number of threads, and with two rows a batch. All of these
should agree: the largest difference of a cell, over all of them, is the tolerance that a replay needs at least. Then the
attacks that draw at random are run with other seeds: how much that moves a cell is what one seed leaves open; a replay
keeps the seed. Everything is measured on this machine alone; another processor or a GPU adds to it.

What is measured already in --out is not measured again. A run takes what `rub eval <suite>_robust` takes.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from tabulate import tabulate

from robust_unlearn_bench.attacks import parse
from robust_unlearn_bench.leaderboard.build.from_results import record_from_results
from robust_unlearn_bench.leaderboard.check.replay import REPEATABILITY
from robust_unlearn_bench.leaderboard.record.schema import run_id
from robust_unlearn_bench.suites import SUITES

Cells = dict[tuple[str, str, str], float]


class Way(NamedTuple):
    """One way to measure."""

    name: str
    threads: int = 1
    batch: str = "auto"
    seed: int | None = None


class Seen(NamedTuple):
    """(task, metric, attack) → value, and → per-document scores."""

    values: Cells
    items: dict[tuple[str, str, str], tuple[object, ...]]


def measured(model: str, suite: str, way: Way, folder: Path) -> Seen:
    """Run the suite that way in a process of its own, and read its record."""
    if not folder.is_dir():
        what = [f"{suite}_robust"]
        if way.seed is not None:
            what = [suite, "--attacks", " ".join(seeded(suite, way.seed))]
        command = ["eval", *what, "--model", model, "--out", f"{folder}.part", "--batch-size", way.batch]
        print(f"OMP_NUM_THREADS={way.threads} RUB_ANSWERS=off rub {' '.join(command)}", flush=True)
        environment = {**os.environ, "OMP_NUM_THREADS": str(way.threads), "RUB_ANSWERS": "off"}
        code = "from robust_unlearn_bench.cli import main; main()"
        with Path(f"{folder}.log").open("w") as log:
            subprocess.run([sys.executable, "-c", code, *command], env=environment, check=True, stdout=log, stderr=log)
        Path(f"{folder}.part").rename(folder)
    entry = record_from_results(folder).entry
    labels = {attack.name: attack.id.label or attack.name for attack in entry.record.attacks}
    values, items = {}, {}
    for result in entry.record.results:
        key = (result.task, result.metric, labels[result.attack])
        if result.value is not None:
            values[key] = result.value
            columns = entry.items[result.task].scores if result.task in entry.items else {}
            items[key] = columns.get((run_id(result.attack, result.seed), result.metric), ())
    return Seen(values, items)


def seeded(suite: str, seed: int) -> list[str]:
    """The suite's attacks that have a seed, with another one."""
    chosen = SUITES[suite]
    attacks = [a for a in chosen.attacks if any(hasattr(s, "seed") for s in parse(a, chosen.attack_defaults).steps)]
    return [f"{attack}(seed={seed})" for attack in attacks]


def compare(first: Seen, other: Seen) -> dict[str, tuple[int, float, float]]:
    """Attack → cells, largest difference, share of documents with the same score."""
    found = defaultdict(list)
    for key in (key for key in first.values if key in other.values):
        pairs = list(zip(first.items[key], other.items[key], strict=True))
        same = sum(a == b for a, b in pairs) / len(pairs) if pairs else 1.0
        found[key[2]].append((abs(first.values[key] - other.values[key]), same))
    return {a: (len(all_), max(d for d, _ in all_), min(s for _, s in all_)) for a, all_ in found.items()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--suite", default="nano_books")
    parser.add_argument("--out", type=Path, default=Path("repeats"))
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--seeds", type=int, nargs="*", default=[1, 2])
    told = parser.parse_args()
    told.out.mkdir(parents=True, exist_ok=True)
    first, *more = told.threads
    replays = [Way("again", first), *(Way(f"{n} threads", n) for n in more), Way("2 rows a batch", first, "2")]
    others = [Way(f"seed {seed}", first, seed=seed) for seed in told.seeds]
    submitted = measured(told.model, told.suite, Way("submitted", first), told.out / "submitted")
    lines, largest = [], 0.0
    for way in (*replays, *others):
        seen = measured(told.model, told.suite, way, told.out / way.name.replace(" ", "-"))
        for attack, (cells, difference, same) in compare(submitted, seen).items():
            lines.append((way.name, attack, cells, f"{difference:.4f}", f"{same:.3f}"))
            largest = max(largest, difference if way.seed is None else 0.0)
    heads = ("against", "attack", "cells", "largest difference", "documents alike")
    print(tabulate(lines, headers=heads, disable_numparse=True, colalign=("left", "left", "right", "right", "right")))
    print(f"largest difference with the seed kept: {largest:.4f}; `rub leaderboard replay` allows {REPEATABILITY:g}")
