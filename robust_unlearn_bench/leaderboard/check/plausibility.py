"""What is unusual about a record: labelled, never rejected."""

from __future__ import annotations

from collections.abc import Iterator

from ...errors import RecordError
from ..record.entry import Entry
from ..record.schema import Record, run_id
from ..score.scorer import score
from ..store import Anchors
from .finding import Finding

__all__ = ["plausible"]


def plausible(entry: Entry, anchors: Anchors) -> Iterator[Finding]:
    """Flags of the attacks, identical seeds, over-unlearning, attacks that make a model forget.

    A record that the scorer cannot read at all is the one error that comes from here.
    """
    for attack in entry.record.attacks:
        for step in attack.diagnostics:
            flags = step.get("flags")
            for flag in flags if isinstance(flags, list) else []:
                yield Finding("label", f"attacks ({run_id(attack.name, attack.seed)})", str(flag).replace("_", " "))
    for (task, metric, _), runs in _seeds(entry.record).items():
        columns = [entry.items[task].scores.get((run, metric)) for run in runs] if task in entry.items else []
        if columns and all(c is not None and c == columns[0] for c in columns):
            yield Finding("label", f"{task} {metric}", f"the seeds {', '.join(runs)} gave identical items")
    try:
        board = score([entry], *anchors)
    except RecordError as error:
        yield Finding("error", "results", str(error))
        return
    row = next(r for r in board.rows if r.entry.id == entry.id)
    for cell in row.over_unlearned:
        yield Finding("label", " ".join(cell), "leakage clearly below the retrain model: over-unlearned")
    clean = {(f.cell.task, f.cell.metric): f.leakage.low for f in row.forgetting if f.cell.attack == "none"}
    for f in row.forgetting:
        low, high = clean.get((f.cell.task, f.cell.metric)), f.leakage.high
        if f.cell.attack != "none" and low is not None and high is not None and high < low:
            yield Finding(
                "label", " ".join(f.cell), "the attack improves forgetting: leakage clearly below that without"
            )


def _seeds(record: Record) -> dict[tuple[str, str, str], list[str]]:
    """(task, metric, attack) → its runs, for attacks with several seeds."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for r in record.results:
        found.setdefault((r.task, r.metric, r.attack), []).append(run_id(r.attack, r.seed))
    return {cell: runs for cell, runs in found.items() if len(runs) > 1}
