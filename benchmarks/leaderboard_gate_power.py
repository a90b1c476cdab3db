"""How often the gate raises an alarm, passes or cannot tell, on simulated models whose true change is known.

    python benchmarks/leaderboard_gate_power.py [worlds=300]

For true changes of 0 to 3 margins: the share of worlds with each verdict. Beside it a bare tolerance ("fail when the
value is worse by more than the margin"), which misses half of the changes as large as the margin at any number of documents.
"""

from __future__ import annotations

import sys
from collections import Counter

from simulated_records import World

from robust_unlearn_bench.leaderboard.gate.config import Gate, Gated
from robust_unlearn_bench.leaderboard.gate.verdict import check

MARGIN = 0.05
GATE = Gate(
    metric=[Gated(task="nano_books_verbmem", metric="rougeL_f1", attack="none", worse="up", margin=MARGIN)],
)


def verdicts(change: float, clusters: int, documents: int, worlds: int) -> tuple[Counter[str], float]:
    """Verdicts over worlds, and how often a bare tolerance fails."""
    found: Counter[str] = Counter()
    bare = 0
    for seed in range(worlds):
        world = World(seed=seed, clusters=clusters, documents=documents)
        old, new = (
            world.entry(name, {"none": {"verbmem": level, "knowmem_forget": 0.3, "knowmem_retain": 0.8}})
            for name, level in (("old", 0.3), ("new", 0.3 + change))
        )
        (metric,) = check(old, new, GATE).checks
        found[metric.verdict] += 1
        bare += metric.worse_by > MARGIN
    return found, bare / worlds


if __name__ == "__main__":
    worlds = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    print(f"margin {MARGIN}, alpha 0.05, {worlds} worlds a line")
    print("| documents | true change | regressed | inconclusive | held | improved | bare tolerance fails |")
    print("|--:|--:|--:|--:|--:|--:|--:|")
    for clusters, documents in ((20, 4), (60, 4), (200, 4)):
        for factor in (-1.5, 0.0, 0.5, 1.0, 1.5, 2.0, 3.0):
            found, bare = verdicts(factor * MARGIN, clusters, documents, worlds)
            shares = [found[name] / worlds for name in ("regressed", "inconclusive", "held", "improved")]
            told = " | ".join(f"{share:.2f}" for share in (*shares, bare))
            print(f"| {clusters}×{documents} | {factor:+.1f} margins | {told} |", flush=True)
