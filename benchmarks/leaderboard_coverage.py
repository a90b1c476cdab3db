"""How often the 95 % interval of a score covers the truth, on simulated models whose true score is known.

    python benchmarks/leaderboard_coverage.py [worlds=200]

Prints, for each scenario, the coverage of the board's interval and of the plain percentile interval of the fixed cell.
"""

from __future__ import annotations

import sys

import numpy as np
from simulated_records import World

from robust_unlearn_bench.leaderboard.scoring.scorer import harmonic, score
from robust_unlearn_bench.leaderboard.scoring.stats import percentiles

ATTACKS = ("none", "gptq4", "relearn10", "relearn20", "relearn50")
TARGET = {"verbmem": [0.95] * 5, "knowmem_forget": [0.9] * 5, "knowmem_retain": [0.9, 0.85, 0.9, 0.9, 0.9]}
RETRAIN = {
    "verbmem": [0.15, 0.15, 0.25, 0.3, 0.4],
    "knowmem_forget": [0.1, 0.1, 0.2, 0.25, 0.3],
    "knowmem_retain": [0.85, 0.82, 0.9, 0.9, 0.9],
}


def between(leak: list[float], keep: float) -> dict[str, list[float]]:
    """Levels of a model with these leakages, one an attack, on both forget metrics, and this share of utility."""
    levels = {
        leaf: [g + x * (TARGET[leaf][0] - g) for g, x in zip(RETRAIN[leaf], leak, strict=True)]
        for leaf in ("verbmem", "knowmem_forget")
    }
    lower = [min(pair) for pair in zip(TARGET["knowmem_retain"], RETRAIN["knowmem_retain"], strict=True)]
    return {**levels, "knowmem_retain": [keep * level for level in lower]}


SCENARIOS = {
    "one attack stands out": ([0.05, 0.1, 0.2, 0.35, 0.55], 0.8),
    "two attacks near": ([0.1, 0.15, 0.3, 0.38, 0.42], 0.8),
    "all attacks equal": ([0.4] * 5, 0.8),
    "nearly retrained": ([0.0, 0.0, 0.02, 0.05, 0.08], 0.95),
    "nearly intact": ([0.1, 0.2, 0.7, 0.85, 0.93], 0.9),
}


def by_attack(levels: dict[str, list[float]]) -> dict[str, dict[str, float]]:
    """Leaf → [level] turned into attack → leaf → level."""
    return {attack: {leaf: levels[leaf][i] for leaf in levels} for i, attack in enumerate(ATTACKS)}


def true_score(leak: list[float], keep: float) -> float:
    """The score of a model whose values are its levels: savings by the trapezoidal rule over log2 of the steps."""
    steps = np.log2([10 / 2, 10, 20, 50])  # no step at all counts as half of the smallest budget
    model = between(leak, keep)
    savings = []
    for leaf in ("verbmem", "knowmem_forget"):
        best = [
            np.maximum.accumulate(levels[leaf])[1:] for levels in (model, TARGET, RETRAIN)
        ]  # none and gptq4: 0 steps
        savings.append(np.trapezoid(best[0] - best[2], steps) / np.trapezoid(best[1] - best[2], steps))
    return float(harmonic(1 - max(savings), keep))


def coverage(leak: list[float], keep: float, worlds: int, clusters: int = 20) -> tuple[float, float, float]:
    """Share of worlds whose interval covers the truth (board, percentile), and the mean error of the score."""
    truth = true_score(leak, keep)
    hits, plain, errors = 0, 0, []
    for seed in range(worlds):
        world = World(seed=seed, clusters=clusters)
        target = world.entry("target", by_attack(TARGET), kind="target")
        retrain = world.entry("retrain", by_attack(RETRAIN), kind="retrain")
        model = world.entry("model", by_attack(between(leak, keep)))
        row = next(r for r in score([model], target, retrain, replicates=1000).rows if r.entry.id == model.id)
        assert row.score.value is not None
        assert row.score.low is not None
        assert row.score.high is not None
        assert row.replicates is not None
        hits += row.score.low <= truth <= row.score.high
        low, high = percentiles(row.replicates) or (row.score.value, row.score.value)
        plain += low <= truth <= high
        errors.append(row.score.value - truth)
    return hits / worlds, plain / worlds, float(np.mean(errors))


if __name__ == "__main__":
    worlds = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    print(f"{'scenario':24} {'clusters':>8} {'covered':>8} {'fixed cell':>10} {'mean error':>10}")
    for name, (leak, keep) in SCENARIOS.items():
        for clusters in (20, 60):
            covered, plain, error = coverage(leak, keep, worlds, clusters)
            print(f"{name:24} {clusters:8} {covered:8.3f} {plain:10.3f} {error:+10.3f}", flush=True)
