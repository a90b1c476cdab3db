"""What is unusual about a record; it is shown as a label and is no reason to reject the record."""

from __future__ import annotations

from collections.abc import Iterator

from ...errors import RecordError
from ..record.entry import Entry
from ..record.schema import Record, run_id
from ..scoring.scorer import score
from ..store import Anchors
from .finding import Finding

__all__ = ["unusual"]


def unusual(entry: Entry, anchors: Anchors) -> Iterator[Finding]:
    """Find warnings of the attacks, identical seeds, over-unlearning, and attacks that make a model forget.

    Args:
        entry: the record with its items.
        anchors: the target and the retrain record of its suite version.

    Yields:
        Labels, and one error when the scorer cannot read the record at all.
    """
    for run, attack in entry.record.runs.items():
        for flag in attack.flags:
            yield Finding("label", f"attacks ({run})", flag.replace("_", " "))
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
    """(task, metric, attack) → its runs, for attacks that were run with several seeds."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for r in record.results:
        found.setdefault((r.task, r.metric, r.attack), []).append(run_id(r.attack, r.seed))
    return {cell: runs for cell, runs in found.items() if len(runs) > 1}
