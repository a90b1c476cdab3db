"""Tune one recipe for each objective × optimizer on a nano suite, looking at the unattacked model only.

    python benchmarks/nano_grid.py --target DIR --retrain DIR --out DIR [--suite nano_books] [--cells npo-adam npo-hybrid]

Every cell tries its whole ladder of learning rates: the harmonic mean of forgetting and utility has several maxima
along it, and a climb stops at the first. Forgetting is 1 − the largest leakage, (value − retrain)/(target − retrain),
over the suite's forget metrics; utility the mean share of the target's, at most 1. The best rung is tried once more:
with as many passes over the data as the hybrid recipe makes (the arm of equal compute), the hybrid's own with a faster
zeroth-order part. The best model of a cell goes to OUT/models, its recipe with the number of trials to OUT/recipes,
every trial to OUT/trials.jsonl; what stands there is not tried again. Two cells at a time, one core each. `--first`
tunes nothing: it writes the second rung of every ladder.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import statistics
import time
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
        "objective": {"name": "rmu", "layer": 2, "coefficient": 30.0},
        "retain": {"name": "activation", "layer": 2},
        "retain_weight": 2.0,
        "train": [r"model\.layers\.[012]\.mlp\..*"],
    },
    "dpo": {"objective": {"name": "dpo", "beta": 0.1}},
    "idk": {"objective": {"name": "idk"}},
    "undial": {"objective": {"name": "undial", "strength": 10.0}},
    "jensun": {"objective": {"name": "jensun"}, "retain": {"name": "jsd"}},
    "ilu": {"objective": {"name": "ilu"}},
    "lat": {"objective": {"name": "lat", "layer": 1}},
}
"""What a recipe of the objective says, beside the defaults."""

FULL, SIGN = (1e-4, 2e-4, 4e-4, 8e-4, 1.6e-3), (3e-5, 1e-4, 3e-4, 1e-3)
ZEROTH, PLAIN_ZEROTH = (1e-5, 3e-5, 5e-5, 1e-4), (1e-4, 3e-4, 1e-3, 3e-3)

OPTIMIZERS: dict[str, tuple[int, list[Settings]]] = {
    **{
        name: (60, [{"lr": lr} for lr in FULL]) for name in ("adam", "adam8bit", "adam_q8update", "sam", "rs", "sophia")
    },
    "tar": (60, [{"lr": lr, "inner_lr": 1e-4} for lr in FULL]),
    **{name: (60, [{"lr": lr} for lr in FULL]) for name in ("muon", "soap")},
    "shampoo": (60, [{"lr": lr} for lr in (1.6e-3, 3.2e-3, 1e-2, 3e-2)]),
    **{name: (60, [{"lr": lr} for lr in SIGN]) for name in ("signadam", "signsgd", "lion")},
    "sgd": (60, [{"lr": lr} for lr in (3e-2, 1e-1, 3e-1, 1.0)]),
    "ada_zo": (300, [{"lr": lr} for lr in ZEROTH]),
    "zo_sgd": (300, [{"lr": lr} for lr in PLAIN_ZEROTH]),
    "hizoo": (240, [{"lr": lr} for lr in PLAIN_ZEROTH]),
    "hybrid": (120, [{"lr_fo": lr, "lr_zo": lr / 10, "n_fo": 20, "n_zo": 20} for lr in FULL]),
}
"""Steps, and a ladder of hyper-parameters, gentle to harsh."""

HIGH = (4e-4, 8e-4, 1.6e-3, 3.2e-3)
LADDERS: dict[str, list[Settings]] = {
    "rmu-adam": [{"lr": lr} for lr in HIGH],
    "rmu-hybrid": [{"lr_fo": lr, "lr_zo": lr / 10, "n_fo": 20, "n_zo": 20} for lr in HIGH],
}
"""Ladders of cells that need other rates: RMU moves the states of all text before it can tell forget from retain."""

ORDER = [
    *(f"npo-{optimizer}" for optimizer in ("hybrid", "adam", "signadam", "ada_zo", "sam", "adam8bit", "muon", "sgd")),
    *(f"{objective}-{optimizer}" for objective in OBJECTIVES if objective != "npo" for optimizer in ("adam", "hybrid")),
    *(
        f"npo-{optimizer}"
        for optimizer in (
            "rs",
            "tar",
            "sophia",
            "lion",
            "signsgd",
            "adam_q8update",
            "zo_sgd",
            "hizoo",
            "soap",
            "shampoo",
        )
    ),
]


def cells_of(suite: str) -> list[str]:
    """All cells; without those that teach refusals where the forget set asks no questions."""
    from robust_unlearn_bench.objectives import OBJECTIVES as REGISTRY
    from robust_unlearn_bench.suites import SUITES

    chosen = SUITES[suite]
    asks = all(example.prompt for example in chosen.corpora(chosen.source(None)).forget.examples)
    return [cell for cell in ORDER if asks or REGISTRY[cell.partition("-")[0]].companion != "refusal"]


def clean(model: Path, suite: str) -> Values:
    """Forget and utility metrics of the unattacked model, "leaf metric" → value."""
    from robust_unlearn_bench.harness.evaluate import evaluate
    from robust_unlearn_bench.suites import SUITES

    results = evaluate("hf", {"pretrained": str(model), "dtype": "float32"}, [suite])["results"]
    return {
        f"{leaf.name} {metric.name}": results[f"{suite}_{leaf.name}"][f"{metric.name},none"]
        for leaf in SUITES[suite].leaves
        for metric in leaf.metrics
        if metric.role in ("forget", "utility")
    }


def equal_steps(optimizer: str) -> int:
    """Steps that cost as many passes as the hybrid's, a backward counted as two forwards."""
    from robust_unlearn_bench.optimizers import OPTIMIZERS as REGISTERED

    def passes(name: str) -> float:
        cost = REGISTERED[name].facts.cost
        return cost.forget_forwards + cost.retain_forwards + 2 * (cost.forget_backwards + cost.retain_backwards)

    return round(OPTIMIZERS["hybrid"][0] * passes("hybrid") / passes(optimizer))


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


def tune(task: tuple[str, str, Path, Path, Values, Values]) -> str:
    """One cell, from its first trial to its recipe."""
    suite, cell, target_dir, out, target, retrain = task
    optimizer = cell.partition("-")[2]
    steps, ladder = OPTIMIZERS[optimizer]
    best: dict[str, Any] = {"score": 0.0}
    tried: list[Settings] = []
    known = _logged(out / "trials.jsonl")

    def attempt(settings: Settings) -> None:
        nonlocal best
        tried.append(settings)
        content = recipe_of(suite, cell, settings)
        trial = next((old for old in known if old["content"] == content), None)
        if trial is None:
            folder = out / "trials" / f"{cell}-{len(tried)}"
            trial = {"suite": suite, "cell": cell, "settings": settings, "content": content}
            trial |= _trial(content, suite, target_dir, folder, target, retrain)
            with (out / "trials.jsonl").open("a", encoding="utf-8") as log:
                log.write(json.dumps(trial) + "\n")
            trial["folder"] = folder
        print(json.dumps({k: trial[k] for k in trial if k not in ("folder", "content", "values")}), flush=True)
        best = trial if trial["score"] > best["score"] else best

    for rung in LADDERS.get(cell, ladder):
        attempt({**rung, "steps": steps})
    if best["score"]:
        faster = float(f"{best['settings'].get('lr_zo', 0) * 3:.2g}")
        attempt({**best["settings"], **({"lr_zo": faster} if faster else {"steps": equal_steps(optimizer)})})
        recipe = out / "recipes" / f"{cell}.yaml"
        _write(recipe, cell, suite, best, tried)
        _keep(best, recipe, out / "models" / cell, target_dir)
    for done in (out / "trials").glob(f"{cell}-[0-9]*"):
        shutil.rmtree(done) if done.is_dir() else done.unlink()
    return cell


def _logged(path: Path) -> list[dict[str, Any]]:
    """Trials of earlier runs."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []


def _keep(best: dict[str, Any], recipe: Path, folder: Path, target: Path) -> None:
    """The model of the best trial, with what its recipe says of the tuning; made again where only figures are left."""
    from robust_unlearn_bench.errors import ConfigError
    from robust_unlearn_bench.unlearn.unlearning import unlearn

    if "folder" in best:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(best["folder"], folder)
    else:
        try:
            unlearn(recipe, target, folder, reuse=True)
        except ConfigError:  # an earlier best
            shutil.rmtree(folder)
            unlearn(recipe, target, folder)
    card = folder / "unlearning.json"
    tuning = yaml.safe_load(recipe.read_text(encoding="utf-8"))["tuning"]
    told = {"tuning_trials": tuning["trials"], "tuning_space": tuning["space"], "selected_on": tuning["selected_on"]}
    content = {**json.loads(card.read_text(encoding="utf-8")), "name": folder.name, **told}
    card.write_text(json.dumps(content, indent=2, ensure_ascii=False), encoding="utf-8")


def _file(content: Settings, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def _trial(content: Settings, suite: str, model: Path, folder: Path, target: Values, retrain: Values) -> dict[str, Any]:
    """Unlearn once and look at the result."""
    from robust_unlearn_bench.errors import RubError
    from robust_unlearn_bench.unlearn.unlearning import unlearn

    shutil.rmtree(folder, ignore_errors=True)
    begun = time.perf_counter()
    try:
        unlearn(_file(content, folder.with_name(f"{folder.name}.yaml")), model, folder)
        seconds = round(time.perf_counter() - begun, 1)
        values = clean(folder, suite)
        return {"seconds": seconds, "values": values, **judged(suite, values, target, retrain)}
    except RubError as error:
        return {"score": 0.0, "failed": str(error)}


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
    lines += [f"{key}: {flow(value)}" for key, value in best["content"].items()]
    lines += ["tuning:", *(f"  {key}: {flow(value)}" for key, value in tuning.items())]
    if tried:
        expected = [{"metric": k, "value": round(v, 3), "source": "measured"} for k, v in best["values"].items()]
        lines += ["expected:", *(f"  - {flow(row)}" for row in expected)]
    said = "A first setting, not tuned: measure before you rely on it; tune"
    if tried:
        said = "Tuned and measured here" if len(tried) > 1 else "One setting, measured here, not tuned; made"
    lines.append(f"source: '{said} with benchmarks/nano_grid.py.'")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_first_settings(suite: str, cells: list[str], folder: Path) -> None:
    """Recipes for the cells that have none: the rung at which tuning starts."""
    for cell in cells:
        path = folder / f"{cell}.yaml"
        if not path.is_file():
            steps, ladder = OPTIMIZERS[cell.partition("-")[2]]
            settings = {**LADDERS.get(cell, ladder)[1], "steps": steps}
            _write(path, cell, suite, {"settings": settings, "content": recipe_of(suite, cell, settings)}, [])


def flow(value: Any) -> str:
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
    parser.add_argument("--cells", nargs="*")
    told = parser.parse_args()
    cells = told.cells or cells_of(told.suite)
    if told.first:
        write_first_settings(told.suite, cells, told.out / "recipes")
        return
    os.environ["OMP_NUM_THREADS"] = "1"
    ends = [clean(path, told.suite) for path in (told.target, told.retrain)]
    print(json.dumps(dict(zip(("target", "retrain"), ends, strict=True))), flush=True)
    tasks = [(told.suite, cell, told.target, told.out, *ends) for cell in cells]
    with multiprocessing.get_context("spawn").Pool(min(2, os.cpu_count() or 1)) as pool:
        for cell in pool.imap_unordered(tune, tasks):
            print(f"{cell} tuned", flush=True)


if __name__ == "__main__":
    main()
