"""A small simulated board: target, retrain, two honest methods, a shallow hider and models that know nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from simulated_records import TASKS, World

from robust_unlearn_bench.leaderboard.record.entry import Entry
from robust_unlearn_bench.leaderboard.scoring.board import Board, Row
from robust_unlearn_bench.leaderboard.scoring.scorer import score

ATTACKS = ("none", "gptq4", "relearn10", "relearn20", "relearn50")


def levels(forget: Sequence[float], retain: Sequence[float]) -> dict[str, dict[str, float]]:
    """attack → leaf → level, both forget leaves alike."""
    return {
        attack: {"verbmem": f, "knowmem_forget": f, "knowmem_retain": r}
        for attack, f, r in zip(ATTACKS, forget, retain, strict=True)
    }


@pytest.fixture(scope="session")
def make_levels() -> Callable[..., dict[str, dict[str, float]]]:
    return levels


@pytest.fixture(scope="session")
def world() -> World:
    return World()


@pytest.fixture(scope="session")
def cast(world: World) -> dict[str, Entry]:
    """Name → entry. The hider looks perfect until it is touched; the four nulls know nothing, or say one thing."""
    good = [0.9, 0.85, 0.9, 0.9, 0.9]
    nothing = levels([0.0] * 5, [0.0] * 5)
    return {
        "target": world.entry("Target", levels([0.95] * 5, good), kind="target"),
        "retrain": world.entry("Retrain", levels([0.15, 0.15, 0.25, 0.3, 0.4], good), kind="retrain"),
        "adam": world.entry(
            "NPO Adam",
            levels([0.1, 0.3, 0.5, 0.7, 0.8], [0.8, 0.75, 0.8, 0.8, 0.8]),
            objective="npo",
            optimizer="adam",
            relationship="author",
        ),
        "hybrid": world.entry(
            "NPO Hybrid",
            levels([0.1, 0.1, 0.3, 0.45, 0.6], [0.8, 0.7, 0.8, 0.8, 0.8]),
            objective="npo",
            optimizer="hybrid",
            relationship="author",
        ),
        "hider": world.entry(
            "Refusal adapter",
            levels([0.02, 0.9, 0.93, 0.95, 0.95], good),
            objective="idk",
            optimizer="adam",
            relationship="author",
        ),
        **{
            name: world.entry(name, nothing, kind="null")
            for name in ("random weights", "always refuse", "repeat token", "uniform logits")
        },
    }


HOLDS = {"answer_prob": {"metric": "prob", "role": "holds", "higher_means": "more_knowledge"}}
LADDER = (
    "none", "gptq4", "relearn_const10_x5", "relearn_const20_x5", "relearn_const40_x5", "relearn20_retain",
)  # fmt: skip


def laddered(forget: Sequence[float], held: float) -> dict[str, dict[str, float]]:
    """attack → leaf → level, with a likelihood that no attack changes."""
    return {
        attack: {"verbmem": x, "knowmem_forget": x, "knowmem_retain": 0.9, "answer_prob": held}
        for attack, x in zip(LADDER, forget, strict=True)
    }


@pytest.fixture(scope="session")
def family_cast() -> dict[str, Entry]:
    """A world with both families. The silent model says as little as one that never saw, and holds half; the shallow one
    holds nothing and says everything after ten steps. The retrain model has learnt the text after forty.
    """
    world = World(tasks={**TASKS, **HOLDS})
    return {
        "target": world.entry("Target", laddered([0.95] * 6, 0.95), kind="target"),
        "retrain": world.entry("Retrain", laddered([0.1, 0.1, 0.15, 0.3, 0.9, 0.1], 0.1), kind="retrain"),
        "silent": world.entry(
            "Silent", laddered([0.1, 0.1, 0.15, 0.3, 0.9, 0.1], 0.5), objective="npo", optimizer="adam"
        ),
        "shallow": world.entry(
            "Shallow", laddered([0.1, 0.1, 0.9, 0.93, 0.95, 0.1], 0.1), objective="npo", optimizer="hybrid"
        ),
    }


@pytest.fixture(scope="session")
def families(family_cast: dict[str, Entry]) -> Board:
    return score(list(family_cast.values()), family_cast["target"], family_cast["retrain"], replicates=200)


@pytest.fixture(scope="session")
def family_row(families: Board) -> Callable[[str], Row]:
    return lambda name: next(row for row in families.rows if row.record.display_name == name)


@pytest.fixture
def lm_eval_run(tmp_path: Path) -> Callable[..., Path]:
    """Write a folder as `lm_eval --output_path … --log_samples` does."""
    return lambda **changes: write_lm_eval(tmp_path / "run", **changes)


def write_lm_eval(
    folder: Path,
    *,
    attacks: Mapping[str, Mapping[str, Any]] | None = None,
    tasks: Mapping[str, Mapping[str, Any]] | None = None,
    suite: str = "tale",
    limit: int | None = None,
    samples: bool = True,
    fingerprint: str = "f" * 64,
    date: str = "2026-01-02T03-04-05.678901",
) -> Path:
    """Two leaves of two documents each, values that a reader can check in the head."""
    attacks = attacks or {
        "none": {"config": [{"attack": "none", "version": 1}]},
        "gptq4": {"config": [{"attack": "gptq", "version": 1, "bits": 4, "seed": 0}]},
    }
    tasks = tasks or {
        "tale_verbmem": {
            "metric": "rougeL_f1",
            "role": "forget",
            "values": {"none": [0.5, 1.0], "gptq4": [0.25, 0.5]},
        },
        "tale_knowmem_retain": {
            "metric": "rougeL_f1",
            "role": "utility",
            "values": {"none": [1.0, None], "gptq4": [0.5, None]},
        },
    }
    folder.mkdir(parents=True, exist_ok=True)
    results: dict[str, Any] = {
        "results": {},
        "configs": {},
        "versions": {},
        "n-samples": {},
        "config": {"limit": limit, "batch_size": "8", "device": "cpu"},
        "model_name": "a/model",
        "lm_eval_version": "0.4.13",
        "transformers_version": "5.17.0",
        "pretty_env_info": "PyTorch version: 2.13.0\n",
        "git_hash": "abc",
    }
    for base, task in tasks.items():
        for attack, column in task["values"].items():
            name = base if attack == "none" else f"{base}__{attack}"
            scored = [v for v in column if v is not None]
            value = task.get("value", lambda kept: sum(kept) / len(kept))(scored)
            results["results"][name] = {
                "alias": name,
                f"{task['metric']},none": value,
                f"{task['metric']}_stderr,none": 0.1,
            }
            results["versions"][name] = 1
            results["n-samples"][name] = {"original": len(column), "effective": limit or len(column)}
            results["configs"][name] = {
                "metadata": {
                    "robust_unlearn_bench": {
                        "suite": suite,
                        "suite_version": "1",
                        "leaf": base.removeprefix(f"{suite}_"),
                        "model": {"fingerprint": fingerprint, "dtype": "float32", "parameters": 10},
                        "data": {"forget": "a" * 64, "retain": "b" * 64},
                        "attack": {
                            "name": attack,
                            "digest": "0" * 12,
                            "diagnostics": [{"flags": []}],
                            "seconds": 1.5,
                            **attacks[attack],
                        },
                        "metrics": {
                            task["metric"]: {"role": task["role"], "higher_means": "more_knowledge", "floor": 0.0}
                        },
                        "package": "0.1.0",
                    }
                }
            }
            if samples:
                rows = [
                    {
                        "doc_id": i,
                        "doc": {"text": "SECRET TEXT", "cluster": f"chapter {i}"},
                        "target": "SECRET TEXT",
                        "doc_hash": f"{i:064x}",
                        "prompt_hash": f"{i + 9:064x}",
                        "target_hash": "0" * 64,
                        "filter": "none",
                        task["metric"]: v,
                    }
                    for i, v in enumerate(column)
                ]
                text = "".join(json.dumps(row) + "\n" for row in rows)
                (folder / f"samples_{name}_{date}.jsonl").write_text(text)
    (folder / f"results_{date}.json").write_text(json.dumps(results))
    return folder
