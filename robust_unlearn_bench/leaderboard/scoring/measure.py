"""One model's numbers on the scorer's cells: a point and the bootstrap replicates for each (task, metric, attack)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ...errors import RecordError
from ...metrics.bootstrap import cluster_draws
from ...metrics.membership import SIDES
from ..record.entry import Entry
from ..record.items import Items
from ..record.schema import MetricSpec, Record, Task, run_id
from .stats import Floats, Moments
from .worst_seed import worst_seed

__all__ = ["SCORED_ROLES", "Cell", "Design", "Estimate", "Measured", "measure"]

SCORED_ROLES = ("forget", "holds", "utility")
"""Roles of metrics that enter the score."""


class Cell(NamedTuple):
    """What is measured: a metric of a task under an attack."""

    task: str
    metric: str
    attack: str


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value and its replicates.

    Attributes:
        point: the value.
        replicates: bootstrap replicates, [B], or None without items.
        halves: the same on either half of the clusters (`Moments.halves`), or None where they are not known.
    """

    point: float
    replicates: Floats | None
    halves: tuple[Estimate, Estimate] | None = None

    def clipped(self) -> Estimate:
        """The same within [0, 1]."""
        draws = None if self.replicates is None else np.clip(self.replicates, 0, 1)
        return Estimate(float(np.clip(self.point, 0, 1)), draws)


Measured = Mapping[Cell, Estimate]


@dataclass(frozen=True, slots=True)
class Design:
    """What every row of a board is measured on, taken from the target's record alone.

    Attributes:
        suite: name and version.
        attacks: names, "none" first.
        metrics: (task, metric) → how it is read, scored roles only.
        documents: task → (doc hashes, clusters) that items must have.
        draws: task → cluster weights, [B, C].
        replicates: B.
        seed: of every draw.
    """

    suite: tuple[str, str]
    attacks: tuple[str, ...]
    metrics: Mapping[tuple[str, str], MetricSpec]
    documents: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]
    draws: Mapping[str, Floats]
    replicates: int
    seed: int

    @classmethod
    def of(cls, target: Entry, retrain: Entry, replicates: int, seed: int) -> Design:
        """The tasks and metrics of the target; the attacks that target and retrain were both put under."""
        record = target.record
        both = {attack.name for attack in retrain.record.attacks}
        attacks = tuple(dict.fromkeys(a.name for a in record.attacks if a.name in both))
        metrics = {
            (task, metric): read
            for task, described in record.suite.tasks.items()
            for metric in described.metrics
            if (read := _as_read(metric, described, target.items.get(task))) is not None
        }
        documents, draws = {}, {}
        for task, items in target.items.items():
            moments = Moments.of(items, [metric for name, metric in metrics if name == task])
            documents[task] = (items.doc_hash, items.cluster)
            draws[task] = cluster_draws(moments.clusters, moments.strata, replicates, seed)
        suite = (record.suite.name, record.suite.version)
        return cls(suite, attacks, metrics, documents, draws, replicates, seed)

    def cells(self, role: str) -> list[Cell]:
        """Every cell of a role, attack by attack."""
        return [Cell(*key, a) for a in self.attacks for key, spec in self.metrics.items() if spec.role == role]


def measure(entry: Entry, design: Design) -> Measured:
    """Points and replicates of every cell that the record has, under the worst of the attack's seeds.

    Raises:
        RecordError: another suite or version, or items of other documents.
    """
    record = entry.record
    if (record.suite.name, record.suite.version) != design.suite:
        raise RecordError(
            f"{record.display_name!r} is of suite {record.suite.name} {record.suite.version}, the anchors are of "
            f"{' '.join(design.suite)}; score each suite version on its own"
        )
    columns = {task: _columns(entry, task, design) for task in entry.items if task in design.draws}
    found: dict[Cell, Estimate] = {}
    for task, metric in design.metrics:
        for attack in design.attacks:
            seeds = [a.seed for a in record.attacks if a.name == attack]
            runs = [run_id(attack, s) for s in seeds]
            spec = design.metrics[task, metric]
            estimate = _from_items(columns.get(task, {}), metric, runs, spec) or _from_record(
                record, Cell(task, metric, attack), spec
            )
            if estimate is not None:
                found[Cell(task, metric, attack)] = estimate
    return found


def _as_read(metric: str, task: Task, items: Items | None) -> MetricSpec | None:
    """How the scorer reads a metric, or None for one that is not scored.

    Suites of version 1 report membership as `privleak` alone, whose items are the scores of both sides: it is read as
    their familiarity.
    """
    spec = task.metrics[metric]
    if spec.role in SCORED_ROLES and spec.aggregate != "other":
        return spec
    column = next((values for (_, name), values in items.scores.items() if name == metric), ()) if items else ()
    sides = {side for value in column if isinstance(value, dict) for side in value}
    alone = all(other.role != "holds" for other in task.metrics.values())
    if spec.role == "privacy" and sides == SIDES and alone:
        return spec.model_copy(update={"role": "holds", "aggregate": "familiarity", "higher_means": "more_knowledge"})
    return None


def _columns(entry: Entry, task: str, design: Design) -> dict[tuple[str, str], Estimate]:
    """(run, metric) → estimate, whole and by halves."""
    items = entry.items[task]
    if (items.doc_hash, items.cluster) != design.documents[task]:
        raise RecordError(
            f"{entry.record.display_name!r}: the items of {task} are of other documents or clusters than the "
            "target's; rerun it with this suite version"
        )
    moments = Moments.of(items, [metric for name, metric in design.metrics if name == task])
    draws, masks = design.draws[task], moments.halves()
    parts = [_estimates(moments, draws, mask) for mask in (np.ones(masks.shape[1]), *masks)]
    whole, one, other = parts
    return {key: Estimate(e.point, e.replicates, (one[key], other[key])) for key, e in whole.items()}


def _estimates(moments: Moments, draws: Floats, mask: Floats) -> dict[tuple[str, str], Estimate]:
    points, values = moments.values(mask[None, :]), moments.values(draws * mask)
    return {key: Estimate(float(points[key][0]), values[key]) for key in values}


def _from_items(
    columns: Mapping[tuple[str, str], Estimate], metric: str, runs: list[str], spec: MetricSpec
) -> Estimate | None:
    found = [columns[run, metric] for run in runs if (run, metric) in columns]
    if not found or len(found) < len(runs) or any(e.point != e.point for e in found):
        return None
    return found[worst_seed([e.point for e in found], spec)]


def _from_record(record: Record, cell: Cell, spec: MetricSpec) -> Estimate | None:
    """The worst of the reported values over seeds, without replicates."""
    values = [r.value for r in record.results if (r.task, r.metric, r.attack) == cell]
    known = [value for value in values if value is not None]
    return Estimate(known[worst_seed(known, spec)], None) if known and len(known) == len(values) else None
