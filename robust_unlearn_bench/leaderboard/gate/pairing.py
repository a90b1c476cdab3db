"""Which documents of two records belong together, and why two records cannot be compared."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from ..check.item_rules import unlike_target
from ..check.own_items import inconsistent
from ..record.attack_id import without_seed
from ..record.entry import Entry
from ..record.items import Items
from .config import Calibration, Gate, Gated, worse_direction

__all__ = ["aligned", "column_of", "incomparable", "reported"]


def incomparable(old: Entry, new: Entry, gate: Gate, calibration: Calibration | None) -> list[str]:
    """Everything that keeps a candidate from being compared with a baseline, in sentences."""
    a, b = old.record.suite, new.record.suite
    if (a.name, a.version) != (b.name, b.version):
        named = f"the candidate is of suite {b.name} {b.version}, the baseline of {a.name} {a.version}"
        return [f"{named}; evaluate both on one suite version"]
    errors = []
    if calibration is not None and calibration.suite != [a.name, a.version]:
        errors.append(f"the calibration is of suite {' '.join(calibration.suite)}; calibrate on {a.name} {a.version}")
    for name, entry in (("baseline", old), ("candidate", new)):
        errors += [
            f"the {name} is not valid: {f.field}: {f.message}" for f in inconsistent(entry) if f.level == "error"
        ]
    return errors + [f"{gated.cell}: {error}" for gated in gate.metric for error in _apart(old, new, gated)]


def reported(entry: Entry, gated: Gated) -> float | None:
    """The value in the record, mean over attack seeds; None when a seed is missing or undefined."""
    cell = (gated.task, gated.metric, gated.attack)
    values = [r.value for r in entry.record.results if (r.task, r.metric, r.attack) == cell]
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known and len(known) == len(values) else None


def aligned(items: Items, like: Items) -> Items:
    """The same documents in the other's order; equal documents keep their own order. Clusters are the other's."""
    if items.doc_hash == like.doc_hash:
        return replace(items, cluster=like.cluster)
    places: dict[str, list[int]] = {}
    for i, doc in reversed(list(enumerate(items.doc_hash))):
        places.setdefault(doc, []).append(i)
    order = [places[doc].pop() for doc in like.doc_hash]
    scores = {key: tuple(values[i] for i in order) for key, values in items.scores.items()}
    return Items(like.doc_hash, tuple(items.prompt_hash[i] for i in order), like.cluster, scores)


def _apart(old: Entry, new: Entry, gated: Gated) -> Iterator[str]:
    """What differs about one gated metric."""
    sides = (("baseline", old), ("candidate", new))
    if lacking := [name for name, entry in sides if reported(entry, gated) is None]:
        yield f"missing or undefined in the {' and the '.join(lacking)}; run the attack, or take the metric out"
        return
    seeds = [sorted(a.seed for a in entry.record.attacks if a.name == gated.attack) for _, entry in sides]
    if seeds[0] != seeds[1]:
        yield f"attack seeds {seeds[1]}, the baseline has {seeds[0]}; rerun with the same seeds"
    if _config(old, gated.attack) != _config(new, gated.attack):
        yield "the attack was configured otherwise than for the baseline; rerun with the same parameters"
    specs = [entry.record.suite.tasks[gated.task].metrics[gated.metric] for _, entry in sides]
    if specs[0] != specs[1]:
        yield "the metric is defined otherwise than in the baseline; rebuild both records"
    elif gated.worse not in (None, worse_direction(specs[0])):
        yield f"worse = {gated.worse!r}, but the suite says that {worse_direction(specs[0])!r} is; correct the configuration"
    elif specs[0].aggregate == "other":
        yield "a metric that is no mean of its documents cannot be resampled; take it out"
    theirs, ours = old.items.get(gated.task), new.items.get(gated.task)
    if theirs is None or ours is None:
        yield "no item file, so nothing can be paired; run lm_eval with --log_samples"
    elif sorted(ours.doc_hash) != sorted(theirs.doc_hash):
        apart = len(set(ours.doc_hash) ^ set(theirs.doc_hash))
        yield f"{len(ours)} documents, the baseline has {len(theirs)}, {apart} are in one only; use the same data"
    else:
        task = old.record.suite.tasks[gated.task]
        for where, message in unlike_target(task, aligned(ours, theirs), column_of(theirs, gated), "the baseline"):
            yield f"{where}: {message}"


def column_of(items: Items, gated: Gated) -> Items:
    """The items of one gated metric, every seed of its attack."""
    scores = {k: v for k, v in items.scores.items() if k[1] == gated.metric and k[0].split("#")[0] == gated.attack}
    return replace(items, scores=scores)


def _config(entry: Entry, attack: str) -> list[dict[str, object]]:
    found = next((a for a in entry.record.attacks if a.name == attack), None)
    return without_seed(found.config) if found else []
