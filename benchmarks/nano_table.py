"""Attack the models that benchmarks/nano_grid.py made, and print the table objective × optimizer.

    python benchmarks/nano_table.py --target DIR --retrain DIR --out DIR [--suite nano_books] [--root leaderboard]

Runs `<suite>_robust` on target, retrain and every model in OUT/models, two at a time, one core each (answers are
cached, and weights that have a record in OUT/rows are not measured again); writes what was measured after 4-bit GPTQ
and after relearning into OUT/recipes, and the table to OUT/table.md. With --root the models are added to that
leaderboard folder as measured by maintainers.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nano_grid import ORDER, flow

SHOWN = ("none", "gptq4", "relearn20")
"""Attacks whose values go into a recipe and into the first columns of the table."""


def row(task: tuple[Path, str, Path, str]) -> str:
    """Measure one model and keep its record, unless these weights have one."""
    from robust_unlearn_bench.leaderboard.record.entry import load
    from robust_unlearn_bench.submit import measure

    model, name, folder, suite = task
    digest = hashlib.sha256((model / "model.safetensors").read_bytes()).hexdigest()
    had = load(folder / "record").record.model.weights if (folder / "record").is_dir() else {}
    if digest not in {file.sha256 for file in had.values()}:
        shutil.rmtree(folder, ignore_errors=True)
        kind: Any = name if name in ("target", "retrain") else "unlearned"
        measured = measure(model, suite, folder / "results", kind=kind, name=name, relationship="maintainer")
        measured.entry.save(folder / "record")
    return name


def title(cell: Any, suite: str) -> str:
    """Leaf and metric."""
    return f"{cell.task.removeprefix(f'{suite}_')} {cell.metric}"


def expect(recipe: Path, found: Any, suite: str) -> None:
    """Replace what a recipe expects by what was measured, attack by attack."""
    head, _, rest = recipe.read_text(encoding="utf-8").partition("expected:\n")
    source = re.search(r"^source: .*\n", rest, re.MULTILINE)
    assert source is not None, f"{recipe} ends without a source"
    cells = [
        {"metric": title(cell.cell, suite), "attack": attack, "value": round(cell.value, 3)}
        for attack in SHOWN
        for cell in (*found.forgetting, *found.utilities)
        if cell.cell.attack == attack and cell.value is not None
    ]
    lines = [f"  - {flow({**cell, 'source': 'measured'})}\n" for cell in cells]
    recipe.write_text("".join([head, "expected:\n", *lines, source.group()]), encoding="utf-8")


def table(board: Any, models: Path, order: Sequence[str]) -> str:
    """The rows in this order, anchors first; values in percent."""
    named = {row.record.model.name: row for row in board.rows}
    names = [name for name in ("retrain", "target", *order) if name in named]
    cells = [c.cell for c in (*board.target.forgetting, *board.target.utilities) if c.cell.attack == "none"]
    later = [attack.name for attack in board.attacks if attack.name not in SHOWN]
    head = ["recipe", "trials", "passes", "moved", *SHOWN, *(f"forgot, {a}" for a in later), "useful", "score"]
    lines = [head, ["---"] * len(head)]
    for name in names:
        found = named[name]
        cost = _cost(models / name)
        values = {(c.cell.task, c.cell.metric, c.cell.attack): c.value for c in (*found.forgetting, *found.utilities)}
        shown = [" / ".join(_percent(values.get((c.task, c.metric, a))) for c in cells) for a in SHOWN]
        forgot = [_percent(_forgot(found, a)) for a in later]
        lines.append([name, *cost, *shown, *forgot, _percent(found.utility.value), _percent(found.score.value)])
    legend = (
        f"{', '.join(SHOWN)}: {' / '.join(title(cell, board.suite) for cell in cells)}. Forgot: 1 − the largest leakage. "
        "Passes: forwards + 2 backwards of one batch. Moved: ‖Δw‖/‖w‖. In percent, but for trials, passes and moved."
    )
    return "\n".join(["| " + " | ".join(line) + " |" for line in lines]) + f"\n\n{legend}\n"


def _forgot(found: Any, attack: str) -> float | None:
    leaked = found.leaked([attack])
    return None if leaked is None else 1 - leaked


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.0f}"


def _cost(model: Path) -> list[str]:
    """Trials, passes, relative change of the weights."""
    path = model / "unlearning.json"
    if not path.is_file():
        return ["–"] * 3
    card = json.loads(path.read_text(encoding="utf-8"))
    passes, moved = card["forward"] + 2 * card["backward"], card["weight_change"]["relative"]
    return [str(card["tuning_trials"]), f"{passes:.0f}", f"{moved:.3f}"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", type=Path, required=True)
    parser.add_argument("--retrain", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--suite", default="nano_books")
    parser.add_argument("--root", type=Path)
    told = parser.parse_args(arguments)
    os.environ["OMP_NUM_THREADS"] = "1"
    from robust_unlearn_bench.leaderboard.record.entry import load
    from robust_unlearn_bench.leaderboard.scoring.scorer import score
    from robust_unlearn_bench.leaderboard.store import Store

    models = {"target": told.target, "retrain": told.retrain}
    models |= {name: told.out / "models" / name for name in ORDER if (told.out / "models" / name).is_dir()}
    tasks = [(path, name, told.out / "rows" / name, told.suite) for name, path in models.items()]
    with multiprocessing.get_context("spawn").Pool(min(2, os.cpu_count() or 1)) as pool:
        for done in pool.imap_unordered(row, tasks):
            print(f"{done} measured", flush=True)
    entries = {name: load(told.out / "rows" / name / "record") for name in models}
    target, retrain = entries.pop("target"), entries.pop("retrain")
    board = score([*entries.values()], target, retrain)
    for found in board.rows:
        recipe = told.out / "recipes" / f"{found.record.model.name}.yaml"
        if recipe.is_file():
            expect(recipe, found, told.suite)
    text = table(board, told.out / "models", ORDER)
    (told.out / "table.md").write_text(text, encoding="utf-8")
    print(text)
    if told.root:
        store = Store(told.root)
        for role, entry in (("target", target), ("retrain", retrain)):
            store.set_anchor(entry, role)
        for entry in entries.values():
            print(store.add(entry, tier="replayed", by="maintainers", reason="measured by maintainers"), flush=True)


if __name__ == "__main__":
    main()
