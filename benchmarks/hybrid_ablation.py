"""What the hybrid's schedule does: block length N, share of zeroth-order steps, moments kept or reset.

    python benchmarks/hybrid_ablation.py --target DIR --retrain DIR --out DIR [--recipe nano_books/npo-hybrid]

Every variant takes as many steps as the recipe (the first-order share differs, and so do the passes, which the table
gives) at the recipe's learning rates; nothing is tuned again. Two variants at a time, one core each.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
from pathlib import Path

from nano_table import row, table

VARIANTS: dict[str, dict[str, object]] = {
    "N5": {"n_fo": 5, "n_zo": 5},
    "N10": {"n_fo": 10, "n_zo": 10},
    "N20": {"n_fo": 20, "n_zo": 20},
    "N60": {"n_fo": 60, "n_zo": 60},
    "FO-3-to-1": {"n_fo": 30, "n_zo": 10},
    "ZO-3-to-1": {"n_fo": 10, "n_zo": 30},
    "reset": {"state": "reset"},
}
"""Name → changes to the recipe's optimizer; N20 is the recipe itself."""


def variant(task: tuple[str, str, Path, Path]) -> str:
    """Unlearn with one variant and measure it."""
    from robust_unlearn_bench.unlearn import load_recipe, unlearn

    recipe, name, target, out = task
    changes = [f"optimizer.{key}={value}" for key, value in VARIANTS[name].items()]
    suite = load_recipe(recipe).suite
    assert suite is not None, f"{recipe} names no suite"
    model = unlearn(recipe, target, out / "models" / name, overrides=changes, reuse=True)
    return row((model, name, out / "rows" / name, suite))


def main() -> None:
    """Run all variants and print their table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", type=Path, required=True)
    parser.add_argument("--retrain", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--recipe", default="nano_books/npo-hybrid")
    told = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    from robust_unlearn_bench.leaderboard.record.entry import load
    from robust_unlearn_bench.leaderboard.scoring.scorer import score

    suite = told.recipe.partition("/")[0]
    with multiprocessing.get_context("spawn").Pool(min(2, os.cpu_count() or 1)) as pool:
        ends = [(getattr(told, name), name, told.out / "rows" / name, suite) for name in ("target", "retrain")]
        pool.map(row, ends)
        tasks = [(told.recipe, name, told.target, told.out) for name in VARIANTS]
        for done in pool.imap_unordered(variant, tasks):
            print(f"{done} measured", flush=True)
    entries = {name: load(told.out / "rows" / name / "record") for name in ("target", "retrain", *VARIANTS)}
    board = score([entries[name] for name in VARIANTS], entries["target"], entries["retrain"])
    print(table(board, told.out / "models", [*VARIANTS]))


if __name__ == "__main__":
    main()
