"""The checks that a record passes before it may stand on the board. The same code runs locally and in CI.

Errors keep a record out; labels are shown beside it. Every finding names the field, the value and the rule.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import RubError
from ..record.attack_id import without_seed
from ..record.entry import Entry
from ..record.events import Tier
from ..record.file_hash import file_sha256
from ..record.items import Value, aggregate
from ..record.schema import MetricSpec, Record, run_id
from ..store import Anchors, Store
from .finding import Finding
from .plausibility import unusual

__all__ = ["TOLERANCE", "Verdict", "check_weights", "own_findings", "validate", "validate_for"]

TOLERANCE = 1e-6
"""Largest difference between a reported number and the one that its items give."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of a check.

    Attributes:
        findings: everything that was found, errors first.
        tier: the tier that the record has reached.
    """

    findings: tuple[Finding, ...]
    tier: Tier

    @property
    def ok(self) -> bool:
        """Whether the record may stand on the board."""
        return all(finding.level != "error" for finding in self.findings)


def validate(entry: Entry, anchors: Anchors | None, others: Sequence[Entry] = ()) -> Verdict:
    """Check a record that was read without error.

    Args:
        entry: the record with its items; reading them has checked schema, ids and file hashes.
        anchors: the target and the retrain record of its suite version, or None when there are none.
        others: the records that are on the board.
    """
    found = list(_own(entry))
    if anchors is None:
        suite = entry.record.suite
        found.append(
            Finding("label", "suite", f"{suite.name} {suite.version} has no anchors here: it cannot be scored")
        )
    else:
        found += _against(entry, anchors)
    found += _identity(entry.record, anchors, [other.record for other in others])
    if anchors is not None and not any(f.level == "error" for f in found):
        found += unusual(entry, anchors)
    verified = anchors is not None and all(task in entry.items for task in _scored(anchors.target.record))
    order = sorted(found, key=lambda finding: finding.level != "error")
    return Verdict(tuple(order), "items_verified" if verified else "self_reported")


def validate_for(store: Store, entry: Entry) -> Verdict:
    """Check a record that is to be added to a leaderboard folder."""
    suite = entry.record.suite
    return validate(entry, store.anchors().get((suite.name, suite.version)), store.entries())


def own_findings(entry: Entry) -> list[Finding]:
    """What is wrong with a record whatever the board: its numbers are not those of its items."""
    return list(_own(entry))


def check_weights(record: Record, folder: Path) -> list[Finding]:
    """Compare the weight hashes with the files of a model folder."""
    found = []
    present = {path.name for path in folder.glob("*.safetensors")}
    for name in sorted(present ^ set(record.model.weights)):
        where = "the record lists no such file" if name in present else f"not in {folder}"
        found.append(Finding("error", f"model.weights.{name}", where))
    for name in sorted(present & set(record.model.weights)):
        if (digest := file_sha256(folder / name)) != record.model.weights[name].sha256:
            found.append(Finding("error", f"model.weights.{name}", f"sha256 is {digest}, the record says otherwise"))
    return found


def _scored(record: Record) -> list[str]:
    """Tasks with a metric that enters the score."""
    return [
        name
        for name, task in record.suite.tasks.items()
        if any(spec.role in ("forget", "utility") for spec in task.metrics.values())
    ]


# --- the record on its own ----------------------------------------------------------------------------------------


def _own(entry: Entry) -> Iterator[Finding]:
    record = entry.record
    for name, task in record.suite.tasks.items():
        items = entry.items.get(name)
        if items is None:
            yield Finding("label", f"suite.tasks.{name}.items", "no item file: its numbers cannot be verified")
        elif len(items) != task.n:
            yield Finding("error", f"suite.tasks.{name}.n", f"{task.n}, but the item file has {len(items)} documents")
    for i, result in enumerate(record.results):
        items, run = entry.items.get(result.task), run_id(result.attack, result.seed)
        spec = record.suite.tasks[result.task].metrics[result.metric]
        if items is None or spec.role == "report":  # not scored, and not carried by the item files
            continue
        column = items.scores.get((run, result.metric))
        field = f"results.{i} ({result.task} {result.metric} {run})"
        if column is None:
            yield Finding("error", field, "the item file has no such column; rebuild both from one run")
            continue
        scored = sum(value is not None for value in column)
        if scored != result.n:
            yield Finding("error", f"{field}.n", f"{result.n}, but {scored} items are scored")
        try:
            again = _recompute(column, spec, result.task, result.metric, record)
        except _Unknown:
            continue
        if (again is None) != (result.value is None) or (
            again is not None and result.value is not None and abs(again - result.value) > TOLERANCE
        ):
            yield Finding("error", f"{field}.value", f"{result.value}, but its items give {again}")


class _Unknown(Exception):
    """The suite that knows how to aggregate this metric is not installed."""


def _recompute(column: Sequence[Value], spec: MetricSpec, task: str, metric: str, record: Record) -> float | None:
    if spec.aggregate != "other":
        return aggregate(column)
    from ...suites import SUITES

    try:
        leaf = SUITES[record.suite.name].leaf(task.removeprefix(record.suite.name + "_"))
        known = next(m for m in leaf.metrics if m.name == metric)
        value = float(known.aggregate([entry for entry in column if entry is not None]))
    except (RubError, StopIteration, ImportError) as error:
        raise _Unknown from error
    except (ArithmeticError, ValueError, TypeError, KeyError):
        return None
    return value if value == value else None


# --- against the suite ---------------------------------------------------------------------------------------------


def _against(entry: Entry, anchors: Anchors) -> Iterator[Finding]:
    record, target = entry.record, anchors.target.record
    for name in _scored(target):
        theirs, ours = target.suite.tasks[name], record.suite.tasks.get(name)
        if ours is None:
            yield Finding("label", f"suite.tasks.{name}", "missing: the row is partial and not ranked")
            continue
        for field, a, b in (("n", ours.n, theirs.n), ("version", ours.version, theirs.version)):
            if a != b:
                yield Finding("error", f"suite.tasks.{name}.{field}", f"{a!r}, the suite says {b!r}")
        for metric, spec in theirs.metrics.items():
            if spec.role in ("forget", "utility") and (mine := ours.metrics.get(metric)) is not None and mine != spec:
                yield Finding(
                    "error", f"suite.tasks.{name}.metrics.{metric}", f"{_spec(mine)}, the suite says {_spec(spec)}"
                )
        mine_items, their_items = entry.items.get(name), anchors.target.items.get(name)
        if mine_items is None or their_items is None:
            continue
        for what in ("doc_hash", "prompt_hash", "cluster"):
            pairs = zip(getattr(mine_items, what), getattr(their_items, what), strict=False)
            if row := next((i for i, (a, b) in enumerate(pairs, start=1) if a != b), None):
                yield Finding(
                    "error",
                    f"{name}.jsonl line {row} {what}",
                    "differs from the suite's own list; rerun with this suite version",
                )
    configs = {a.name: without_seed(a.config) for a in target.attacks}
    for i, attack in enumerate(record.attacks):
        if attack.name in configs and without_seed(attack.config) != configs[attack.name]:
            differing = _difference(without_seed(attack.config), configs[attack.name])
            yield Finding("error", f"attacks.{i}.config ({attack.name})", f"differs from the suite's in {differing}")
    have = {(r.task, r.metric, r.attack) for r in record.results if r.value is not None}
    lacking = [
        r
        for r in target.results
        if target.suite.tasks[r.task].metrics[r.metric].role in ("forget", "utility")
        and (r.task, r.metric, r.attack) not in have
    ]
    if lacking:
        shown = ", ".join(f"{r.task} {r.metric} {r.attack}" for r in lacking[:3]) + (" …" if len(lacking) > 3 else "")
        yield Finding("label", "results", f"{len(lacking)} cells missing ({shown}): the row is partial and not ranked")


def _spec(spec: MetricSpec) -> str:
    return f"{spec.role}, {spec.higher_means}, {spec.aggregate}, floor {spec.floor:g}"


def _difference(ours: Sequence[dict[str, Any]], theirs: Sequence[dict[str, Any]]) -> str:
    if len(ours) != len(theirs):
        return f"the number of steps ({len(ours)}, not {len(theirs)})"
    keys = [
        f"{key} ({a.get(key)!r}, not {b.get(key)!r})"
        for a, b in zip(ours, theirs, strict=True)
        for key in sorted({*a, *b})
        if a.get(key) != b.get(key)
    ]
    return ", ".join(keys)


# --- whose model it is ----------------------------------------------------------------------------------------------


def _identity(record: Record, anchors: Anchors | None, others: Sequence[Record]) -> Iterator[Finding]:
    if record.model.kind in ("target", "retrain"):
        yield Finding("error", "model.kind", f"{record.model.kind}: controls are set by maintainers, under anchors/")
    if record.model.kind not in ("unlearned", "target", "retrain") and record.relationship != "maintainer":
        yield Finding("error", "model.kind", f"{record.model.kind}: controls are added by maintainers")
    if not record.model.weights:
        yield Finding("label", "model.weights", "no weight files were hashed: nobody can tell which model this is")
    for control, name in zip(anchors or (), ("target", "retrain"), strict=False):
        if _same_weights(record, control.record):
            yield Finding("error", "model.weights", f"the weights of the {name} model under a new name")
    for other in others:
        if other.submission_id == record.submission_id:
            yield Finding("error", "submission_id", f"{record.submission_id} is already on the board")
        elif other.suite.name == record.suite.name and _same_weights(record, other):
            yield Finding(
                "label", "model.weights", f"the same weights as {other.submission_id} ({other.display_name!r})"
            )


def _same_weights(a: Record, b: Record) -> bool:
    if a.model.fingerprint is not None and a.model.fingerprint == b.model.fingerprint:
        return True
    ours, theirs = ({file.sha256 for file in r.model.weights.values()} for r in (a, b))
    return bool(ours) and ours == theirs
