"""Tune one recipe for each objective × optimizer on a nano suite, looking at the unattacked model only.

    python benchmarks/nano_grid.py --target DIR --retrain DIR --out DIR [--suite nano_books] [--cells npo-adam npo-hybrid]

A cell starts in the middle of its ladder of learning rates and climbs while the harmonic mean of forgetting and utility
rises. Forgetting is 1 − the largest leakage, (value − retrain)/(target − retrain), over the suite's forget metrics;
utility the mean share of the target's, at most 1. The best model of a cell goes to OUT/models, its recipe with the
number of trials to OUT/recipes, every trial to OUT/trials.jsonl. Two cells at a time, one core each; a cell that is in
OUT/recipes is not tuned again. `--first` tunes nothing: it writes the setting at which each cell would start.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import statistics
from collections.abc import Generator
from pathlib import Path
from typing import Any

import yaml

Settings = dict[str, Any]
Values = dict[str, float]

OBJECTIVES: dict[str, Settings] = {
    "npo": {"objective": {"name": "npo", "beta": 0.1}},
    "grad_diff": {"objective": {"name": "grad_diff"}},
    "simnpo": {"objective": {"name": "simnpo", "beta": 2.5}},
    "rmu": {
        "objective": {"name": "rmu", "layer": 2, "coefficient": 20.0},
        "retain": {"name": "activation", "layer": 2},
        "retain_weight": 10.0,
        "train": [r"model\.layers\.[012]\.mlp\.down_proj\.weight"],
    },
    "dpo": {"objective": {"name": "dpo", "beta": 0.1}},
    "idk": {"objective": {"name": "idk"}},
    "undial": {"objective": {"name": "undial", "strength": 10.0}},
    "jensun": {"objective": {"name": "jensun"}},
    "ilu": {"objective": {"name": "ilu"}},
}
"""What a recipe of the objective says, beside the defaults."""

FULL, SIGN, ZEROTH = (5e-5, 1e-4, 2e-4, 4e-4, 8e-4), (1e-5, 3e-5, 1e-4, 3e-4), (3e-6, 1e-5, 3e-5, 1e-4)

OPTIMIZERS: dict[str, tuple[int, list[Settings]]] = {
    **{
        name: (60, [{"lr": lr} for lr in FULL]) for name in ("adam", "adam8bit", "adam_q8update", "sam", "rs", "sophia")
    },
    **{name: (60, [{"lr": lr} for lr in FULL]) for name in ("muon", "soap", "shampoo")},
    **{name: (60, [{"lr": lr} for lr in SIGN]) for name in ("signadam", "signsgd", "lion")},
    "sgd": (60, [{"lr": lr} for lr in (3e-2, 1e-1, 3e-1, 1.0)]),
    "ada_zo": (300, [{"lr": lr} for lr in ZEROTH]),
    "zo_sgd": (300, [{"lr": lr} for lr in (1e-7, 3e-7, 1e-6, 3e-6)]),
    "hizoo": (240, [{"lr": lr} for lr in (1e-7, 3e-7, 1e-6, 3e-6)]),
    "hybrid": (120, [{"lr_fo": lr, "lr_zo": lr / 10, "n_fo": 20, "n_zo": 20} for lr in FULL]),
}
"""Steps, and a ladder of hyper-parameters, gentle to harsh."""

REFINE: dict[str, list[Settings]] = {
    "npo-adam": [{"steps": 100}, {"lr": 1.4e-4, "steps": 100}, {"lr": 1.4e-4}],
    "npo-hybrid": [{"lr_zo": 3e-5}, {"lr_fo": 1.4e-4}, {"lr_fo": 7e-5}],
}
"""Changes to the best rung that are tried as well, for the two recipes that the demo compares."""

ORDER = [
    *(f"npo-{optimizer}" for optimizer in ("hybrid", "adam", "signadam", "ada_zo", "sam", "adam8bit", "muon", "sgd")),
    *(f"{objective}-{optimizer}" for objective in OBJECTIVES if objective != "npo" for optimizer in ("adam", "hybrid")),
    *(
        f"npo-{optimizer}"
        for optimizer in ("rs", "sophia", "lion", "signsgd", "adam_q8update", "zo_sgd", "hizoo", "soap", "shampoo")
    ),
]


def clean(model: Path, suite: str) -> Values:
    """Forget and utility metrics of the unattacked model, "leaf metric" → value."""
    from robust_unlearn_bench.harness.run import evaluate
    from robust_unlearn_bench.suites import SUITES

    results = evaluate("hf", {"pretrained": str(model), "dtype": "float32"}, [suite])["results"]
    return {
        f"{leaf.name} {metric.name}": results[f"{suite}_{leaf.name}"][f"{metric.name},none"]
        for leaf in SUITES[suite].leaves
        for metric in leaf.metrics
        if metric.role in ("forget", "utility")
    }


def judged(suite: str, values: Values, target: Values, retrain: Values) -> Values:
    """Forgetting, utility and their harmonic mean."""
    from robust_unlearn_bench.suites import SUITES

    roles = {f"{leaf.name} {m.name}": m.role for leaf in SUITES[suite].leaves for m in leaf.metrics}
    leaks = [(values[k] - retrain[k]) / (target[k] - retrain[k]) for k in values if roles[k] == "forget"]
    kept = [min(values[k] / target[k], 1.0) for k in values if roles[k] == "utility"]
    forgetting, utility = 1 - min(max(*leaks, 0.0), 1.0), statistics.mean(kept)
    return {
        "forgetting": forgetting,
        "utility": utility,
        "score": statistics.harmonic_mean([forgetting, utility]) if forgetting and utility else 0.0,
    }


def recipe_of(suite: str, cell: str, settings: Settings) -> Settings:
    """The recipe of a cell with one rung of its ladder."""
    objective, _, optimizer = cell.partition("-")
    rest = {key: value for key, value in settings.items() if key != "steps"}
    return {
        "suite": suite,
        "retain": {"name": "nll"},
        "retain_weight": 1.0,
        **OBJECTIVES[objective],
        "optimizer": {"name": optimizer, **rest},
        "steps": settings["steps"],
    }


def climb(rungs: int) -> Generator[int, bool, None]:
    """Which rung to try next; is told whether the last one was the best so far."""
    yield 1
    if (yield 2):
        at = 3
        while at < rungs and (yield at):
            at += 1
    else:
        yield 0


def tune(task: tuple[str, str, Path, Path, Values, Values]) -> str:
    """One cell, from its first trial to its recipe."""
    suite, cell, target_dir, out, target, retrain = task
    steps, ladder = OPTIMIZERS[cell.partition("-")[2]]
    best: dict[str, Any] = {"score": 0.0}
    tried: list[Settings] = []

    def attempt(settings: Settings) -> bool:
        nonlocal best
        tried.append(settings)
        trial = _trial(suite, cell, settings, target_dir, out / "trials" / f"{cell}-{len(tried)}", target, retrain)
        with (out / "trials.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps({key: trial[key] for key in trial if key not in ("folder", "content")}) + "\n")
        print(json.dumps({key: trial[key] for key in trial if key not in ("folder", "content", "values")}), flush=True)
        better = trial["score"] > best["score"]
        best = trial if better else best
        return bool(better)

    rungs = climb(len(ladder))
    rung = next(rungs)
    while True:
        better = attempt({**ladder[rung], "steps": steps})
        try:
            rung = rungs.send(better)
        except StopIteration:
            break
    if best["score"]:
        for change in REFINE.get(cell, ()):
            attempt({**best["settings"], **change})
        shutil.rmtree(out / "models" / cell, ignore_errors=True)
        shutil.copytree(best["folder"], out / "models" / cell)
        _write(out / "recipes" / f"{cell}.yaml", cell, suite, best, tried)
    for done in (out / "trials").glob(f"{cell}-[0-9]*"):
        shutil.rmtree(done) if done.is_dir() else done.unlink()
    return cell


def _trial(
    suite: str, cell: str, settings: Settings, model: Path, folder: Path, target: Values, retrain: Values
) -> dict[str, Any]:
    """Unlearn once and look at the result."""
    from robust_unlearn_bench.errors import RubError
    from robust_unlearn_bench.unlearn.unlearning import unlearn

    content = recipe_of(suite, cell, settings)
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    file = folder.with_name(f"{folder.name}.yaml")
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    trial = {"suite": suite, "cell": cell, "settings": settings, "folder": folder, "content": content}
    try:
        unlearn(file, model, folder)
        values = clean(folder, suite)
        return {**trial, "values": values, **judged(suite, values, target, retrain)}
    except RubError as error:
        return {**trial, "score": 0.0, "failed": str(error)}


def _write(path: Path, cell: str, suite: str, best: dict[str, Any], tried: list[Settings]) -> None:
    """The recipe of a cell; without values, and so without tuning, a first setting."""
    objective, _, optimizer = cell.partition("-")
    keys = [key for key in best["settings"] if len({settings[key] for settings in tried}) > 1]
    names = {key: key if key == "steps" else f"optimizer.{key}" for key in keys}
    tuning: Settings = {"trials": len(tried)}
    if tried:
        tuning["space"] = {names[key]: sorted({settings[key] for settings in tried}) for key in keys}
        tuning["selected_on"] = "harmonic mean of forgetting and utility, before any attack"
    lines = [f"# {objective} × {optimizer} on {suite}"]
    lines += [f"{key}: {_flow(value)}" for key, value in best["content"].items()]
    lines += ["tuning:", *(f"  {key}: {_flow(value)}" for key, value in tuning.items())]
    if tried:
        expected = [{"metric": k, "value": round(v, 3), "source": "measured"} for k, v in best["values"].items()]
        lines += ["expected:", *(f"  - {_flow(row)}" for row in expected)]
    said = "Tuned and measured here" if tried else "A first setting, not tuned: measure before you rely on it; tune"
    lines.append(f"source: '{said} with benchmarks/nano_grid.py.'")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_first_settings(suite: str, cells: list[str], folder: Path) -> None:
    """Recipes for the cells that have none: the rung at which tuning starts."""
    for cell in cells:
        path = folder / f"{cell}.yaml"
        if not path.is_file():
            steps, ladder = OPTIMIZERS[cell.partition("-")[2]]
            settings = {**ladder[1], "steps": steps}
            _write(path, cell, suite, {"settings": settings, "content": recipe_of(suite, cell, settings)}, [])


def _flow(value: Any) -> str:
    return (
        yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10_000)
        .strip()
        .removesuffix("...")
        .strip()
    )


def main() -> None:
    """Tune the cells that have no recipe yet, or write first settings."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", type=Path)
    parser.add_argument("--retrain", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--suite", default="nano_books")
    parser.add_argument("--first", action="store_true", help="only write first settings to OUT/recipes")
    parser.add_argument("--cells", nargs="*", default=ORDER)
    told = parser.parse_args()
    if told.first:
        write_first_settings(told.suite, told.cells, told.out / "recipes")
        return
    os.environ["OMP_NUM_THREADS"] = "1"
    ends = [clean(path, told.suite) for path in (told.target, told.retrain)]
    print(json.dumps(dict(zip(("target", "retrain"), ends, strict=True))), flush=True)
    todo = [cell for cell in told.cells if not (told.out / "recipes" / f"{cell}.yaml").is_file()]
    tasks = [(told.suite, cell, told.target, told.out, *ends) for cell in todo]
    with multiprocessing.get_context("spawn").Pool(min(2, os.cpu_count() or 1)) as pool:
        for cell in pool.imap_unordered(tune, tasks):
            print(f"{cell} tuned", flush=True)


if __name__ == "__main__":
    main()
