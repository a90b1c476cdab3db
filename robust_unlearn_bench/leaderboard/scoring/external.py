"""Attacks that others found: joined to a row and its controls as further attacks of the suite.

A found attack enters the envelope of what can be elicited at its number of steps, for the row, the target and the
retrain model alike, so that it is read like the suite's own attacks.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...errors import RecordError
from ..record.attack_entry import AttackEntry
from ..record.entry import Entry
from ..record.items import Items
from ..record.schema import Record, run_id

__all__ = ["joined", "of_same_weights", "on_model"]


def on_model(entry: Entry, found: Sequence[AttackEntry], *, verified: bool) -> list[AttackEntry]:
    """The active attacks that were found on the model of a row.

    Args:
        entry: the row.
        found: attacks on any model.
        verified: whether to leave out those that nobody has run again.
    """
    return [
        attack
        for attack in found
        if attack.standing.state == "active"
        and (attack.verified or not verified)
        and of_same_weights(attack.model.record, entry.record)
    ]


def of_same_weights(a: Record, b: Record) -> bool:
    """Whether two records are of one model: equal fingerprints, or weight files of equal content."""
    if a.model.fingerprint is not None and a.model.fingerprint == b.model.fingerprint:
        return True
    ours, theirs = ({file.sha256 for file in record.model.weights.values()} for record in (a, b))
    return bool(ours) and ours == theirs


def joined(entry: Entry, extra: Sequence[Entry]) -> Entry:
    """A row with the attacks of further records of the same model; it keeps its id, and attacks that it has already.

    Raises:
        RecordError: a further record was measured on other documents.
    """
    items, record = dict(entry.items), entry.record
    attacks, results = list(record.attacks), list(record.results)
    for other in extra:
        there = {(attack.name, attack.seed) for attack in attacks}
        new = [attack for attack in other.record.attacks if (attack.name, attack.seed) not in there]
        runs = {run_id(attack.name, attack.seed) for attack in new}
        attacks += new
        results += [r for r in other.record.results if run_id(r.attack, r.seed) in runs and r.task in items]
        for task, own in items.items():
            items[task] = _with_columns(own, other.items.get(task), runs, f"{other.record.display_name!r} {task}")
    return Entry(record.model_copy(update={"attacks": attacks, "results": results}), items, entry.standing)


def _with_columns(own: Items, other: Items | None, runs: set[str], where: str) -> Items:
    if other is None:
        return own
    if (own.doc_hash, own.cluster) != (other.doc_hash, other.cluster):
        raise RecordError(f"{where}: the attack was measured on other documents or clusters than the row")
    more = {key: column for key, column in other.scores.items() if key[0] in runs}
    return Items(own.doc_hash, own.prompt_hash, own.cluster, {**own.scores, **more})
