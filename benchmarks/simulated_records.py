"""Records of models that never were, with known truth: for the statistics' own checks, previews and examples.

An item is the mean of four coin flips whose chance varies by cluster (Beta-distributed around the model's level). Flips
and clusters share their randomness across models, as real models share hard documents, so differences are paired.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from robust_unlearn_bench.attacks import ATTACKS
from robust_unlearn_bench.attacks.spec import label_of
from robust_unlearn_bench.leaderboard.record.entry import Entry
from robust_unlearn_bench.leaderboard.record.items import Items, Value, aggregate
from robust_unlearn_bench.leaderboard.record.schema import run_id
from robust_unlearn_bench.leaderboard.record.sealing import seal
from robust_unlearn_bench.leaderboard.scoring.stats import Floats

__all__ = ["TASKS", "World", "config_of"]

TASKS: dict[str, dict[str, Any]] = {
    "verbmem": {"metric": "rougeL_f1", "role": "forget", "higher_means": "more_knowledge"},
    "knowmem_forget": {"metric": "rougeL_f1", "role": "forget", "higher_means": "more_knowledge"},
    "knowmem_retain": {"metric": "rougeL_f1", "role": "utility", "higher_means": "more_utility"},
}
"""Leaf → its metric, as in `nano_books`."""

_FLIPS = 4


@dataclass(frozen=True, slots=True)
class World:
    """Documents that every simulated model answers.

    Attributes:
        seed: of documents and noise.
        clusters: in each task.
        documents: in each cluster.
        spread: how much clusters differ; the Beta distribution's precision is 1 / spread.
        own: share of a model's flips that it does not share with other models.
        suite: name written into the records.
        tasks: leaf → its metric.
    """

    seed: int = 0
    clusters: int = 20
    documents: int = 4
    spread: float = 0.05
    own: float = 0.3
    suite: str = "nano_books"
    tasks: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: TASKS)

    def entry(
        self,
        name: str,
        levels: Mapping[str, Mapping[str, float]],
        *,
        kind: str = "unlearned",
        objective: str | None = None,
        optimizer: str | None = None,
        seeds: Sequence[int] = (0,),
        relationship: str = "maintainer",
        method: Mapping[str, Any] | None = None,
    ) -> Entry:
        """A record with items.

        Args:
            name: display name; also seeds the model's own noise.
            levels: attack → leaf → expected value of its metric.
            kind: as in `schema.Model`.
            objective: registry name, or None.
            optimizer: registry name, or None.
            seeds: of every attack that trains (its name holds "relearn").
            relationship: as in `schema.Record`.
            method: further fields of `schema.Method`.
        """
        runs = [(attack, seed) for attack in levels for seed in (seeds if "relearn" in attack else (0,))]
        items = {f"{self.suite}_{leaf}": self._items(name, leaf, levels, runs) for leaf in self.tasks}
        results = [
            {"task": task, "metric": metric, "attack": attack, "seed": seed, "value": value, "n": len(part)}
            for task, part in items.items()
            for attack, seed in runs
            for metric in [self.tasks[task.removeprefix(f"{self.suite}_")]["metric"]]
            for value in [aggregate(part.scores[run_id(attack, seed), metric])]
        ]
        described = {
            f"{self.suite}_{leaf}": {
                "version": "1",
                "n": self.clusters * self.documents,
                "metrics": {
                    spec["metric"]: {"role": spec["role"], "higher_means": spec["higher_means"], "aggregate": "mean"}
                },
            }
            for leaf, spec in self.tasks.items()
        }
        record = seal(
            display_name=name,
            submitted_at="2026-01-01T00:00:00Z",
            relationship=relationship,
            model={
                "name": name.replace(" ", "-").lower(),
                "source": "local",
                "kind": kind,
                "weights": {"model.safetensors": {"sha256": _hash(self.seed, name), "bytes": 9_000_000}},
                "fingerprint": _hash(self.seed, name, "memory"),
                "dtype": "float32",
                "parameters": 4_500_000,
            },
            method={"objective": objective, "optimizer": optimizer, "seeds": [0], **(method or {})},
            suite={"name": self.suite, "version": "1", "tasks": described},
            attacks=[{"name": attack, "seed": seed, "config": [config_of(attack, seed)]} for attack, seed in runs],
            results=results,
        )
        return Entry.unsaved(record, items)

    def _items(
        self, name: str, leaf: str, levels: Mapping[str, Mapping[str, float]], runs: Sequence[tuple[str, int]]
    ) -> Items:
        count = self.clusters * self.documents
        labels = tuple(f"p{i // self.documents}" for i in range(count))
        scores: dict[tuple[str, str], tuple[Value, ...]] = {}
        for attack, seed in runs:
            values = self._draw(name, leaf, attack, seed, float(levels[attack][leaf]))
            scores[run_id(attack, seed), str(self.tasks[leaf]["metric"])] = tuple(float(v) for v in values)
        return Items(
            tuple(_hash(self.suite, leaf, i) for i in range(count)),
            tuple(_hash(self.suite, leaf, i, "prompt") for i in range(count)),
            labels,
            scores,
        )

    def _draw(self, name: str, leaf: str, attack: str, seed: int, level: float) -> Floats:
        """One value a document, its expectation `level`."""
        from scipy.special import betaincinv

        shape = (self.clusters * self.documents, _FLIPS)
        shared = np.random.default_rng([self.seed, _number(leaf)])
        ranks, flips = shared.random(self.clusters), shared.random(shape)
        private = np.random.default_rng([self.seed, _number(leaf, name, attack, seed)])
        flips = np.where(private.random(shape) < self.own, private.random(shape), flips)
        if 0 < level < 1 and self.spread > 0:
            chances = betaincinv(level / self.spread, (1 - level) / self.spread, ranks)
        else:
            chances = np.full(self.clusters, level)
        result: Floats = (flips < np.repeat(chances, self.documents)[:, None]).mean(axis=1)
        return result


def config_of(attack: str, seed: int = 0) -> dict[str, Any]:
    """Family and number of an attack that is written by its label alone, such as relearn50, and its seed unless 0."""
    seeded = {"seed": seed} if seed else {}
    for family in ATTACKS:
        label = label_of(family)
        if (number := label.number(attack)) is not None:
            return {"attack": family, "version": 1, label.field: number, **seeded}
    return {"attack": attack, "version": 1, **seeded}


def _hash(*parts: object) -> str:
    return hashlib.sha256("/".join(map(str, parts)).encode()).hexdigest()


def _number(*parts: object) -> int:
    return int(_hash(*parts)[:15], 16)
