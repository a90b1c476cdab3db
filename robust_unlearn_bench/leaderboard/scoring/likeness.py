"""Rows that are too much alike to be measurements of two models, or whose names are: found, and labelled.

Different models answer differently. Among 231 pairs of the models on the board of nano_books, trained from one target, the
closest two differ by .049 on average over the documents where either scores strictly between 0 and 1 (elsewhere models
agree because nothing is left to differ in). A copy with a little noise on every value differs by the noise.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from ..record.entry import Entry
from ..record.items import Value
from .measure import SCORED_ROLES
from .stats import Floats

__all__ = ["COPIED", "Likeness", "alike", "likenesses", "skeleton"]

COPIED = 0.03
"""Mean difference of informative documents below which two records hold the same measurement."""

EXACT = 2e-3
"""Largest difference of one document in a column that was copied, where its documents differ by more than ten times that."""

_LEAST = 20
"""Informative documents without which items say nothing about where they come from."""

_TWINS = str.maketrans(
    "АВЕЅІЈКМНОРСТХУавеѕіјкмнорстхуԁһӏΑΒΕΖΗΙΚΜΝΟΡΤΥΧανορτυχ01|",
    "abesijkmhopctxyabesijkmhopctxydhlabezhikmnoptyxavoptuxoll",
)
"""Letters of other scripts, and digits, that look like Latin letters."""


@dataclass(frozen=True, slots=True)
class Likeness:
    """What a row has in common with another.

    Attributes:
        other: submission id of the other row.
        name: its display name.
        what: the common thing in words, to be followed by the name.
    """

    other: str
    name: str
    what: str

    def __str__(self) -> str:
        return f"{self.what} {self.name!r} ({self.other})"


def alike(entry: Entry, others: Sequence[Entry]) -> list[Likeness]:
    """Everything that a record has in common with records that were there before: weights, items, a confusable name."""
    ours = _Print.of(entry)
    found = []
    for other in others:
        if other.id != entry.id and _comparable(entry, other):
            found += [Likeness(other.id, other.record.display_name, what) for what in _common(ours, _Print.of(other))]
    return found


def likenesses(entries: Sequence[Entry]) -> dict[str, list[Likeness]]:
    """The same for every row of a board; of two rows that are alike, the one that was admitted later is labelled.

    When a row was admitted is what its events say, never the time in its record; where they do not say it, both rows are
    labelled. Models that know nothing by construction, and the controls, are compared with but not labelled.

    Returns:
        Submission id → what the row has in common with others, the controls first.
    """
    found: dict[str, list[Likeness]] = {}
    prints = [_Print.of(entry) for entry in entries]
    for i, j in _candidates(prints):
        a, b = prints[i], prints[j]
        for what in _common(a, b):
            for one, other in ((a, b), (b, a)):
                if one.entry.record.model.kind == "unlearned" and not _before(one.entry, other.entry):
                    likeness = Likeness(other.entry.id, other.entry.record.display_name, what)
                    found.setdefault(one.entry.id, []).append(likeness)
    controls = {entry.id for entry in entries if entry.record.model.kind != "unlearned"}
    return {key: sorted(ours, key=lambda likeness: likeness.other not in controls) for key, ours in found.items()}


def skeleton(name: str) -> str:
    """What is left of a name when look-alikes are taken for each other: compatibility forms, case, accents, spaces."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", name)).translate(_TWINS)
    return "".join(c for c in plain.casefold().translate(_TWINS) if c.isalnum())


@dataclass(frozen=True, slots=True)
class _Print:
    """A record, prepared to be compared with others.

    Attributes:
        entry: the record.
        columns: (task, run, metric) → values of the scored metrics, [documents], 2 where a document is not scored.
        informative: which of them lie strictly between 0 and 1, [documents].
        means: means of the columns.
        weights: hashes of its weight files.
        name: skeleton of its display name.
    """

    entry: Entry
    columns: dict[tuple[str, str, str], Floats]
    informative: dict[tuple[str, str, str], NDArray[np.bool_]]
    means: dict[tuple[str, str, str], float]
    weights: frozenset[str]
    name: str

    @classmethod
    def of(cls, entry: Entry) -> _Print:
        record = entry.record
        columns = {
            (task, run, metric): _numbers(column)
            for task, items in entry.items.items()
            for (run, metric), column in items.scores.items()
            if metric in (metrics := record.suite.tasks[task].metrics) and metrics[metric].role in SCORED_ROLES
        }
        return cls(
            entry,
            columns,
            {key: (column > 0) & (column < 1) for key, column in columns.items()},
            {key: float(column.mean()) for key, column in columns.items() if len(column)},
            frozenset(file.sha256 for file in record.model.weights.values()),
            skeleton(record.display_name),
        )


def _comparable(a: Entry, b: Entry) -> bool:
    return (a.record.suite.name, a.record.suite.version) == (b.record.suite.name, b.record.suite.version)


def _candidates(prints: Sequence[_Print]) -> list[tuple[int, int]]:
    """Pairs that may have something in common; the means of their columns, and their hashes and names, rule out the rest."""
    pairs: set[tuple[int, int]] = set()
    shared: dict[tuple[str, str], list[int]] = {}
    for i, p in enumerate(prints):
        marks = {("weights", sha256) for sha256 in p.weights} | {("name", p.name)}
        if p.entry.record.model.fingerprint is not None:
            marks.add(("fingerprint", p.entry.record.model.fingerprint))
        for mark in marks:
            shared.setdefault(mark, []).append(i)
    for members in shared.values():
        pairs.update(combinations(members, 2))
    keys = sorted({key for p in prints for key in p.means})
    means = np.array([[p.means.get(key, np.nan) for key in keys] for p in prints]).reshape(len(prints), len(keys))
    for i in range(len(prints) - 1 if keys else 0):
        apart = np.abs(means[i + 1 :] - means[i])
        whole = np.nansum(apart, axis=1) <= COPIED * np.isfinite(apart).sum(axis=1)
        near = whole | (apart <= EXACT).any(axis=1)
        pairs.update((i, i + 1 + int(j)) for j in np.flatnonzero(near))
    return sorted(pair for pair in pairs if _comparable(*(prints[i].entry for i in pair)))


def _common(a: _Print, b: _Print) -> Iterator[str]:
    yield from _weights(a, b)
    yield from _items(a, b)
    if a.name and a.name == b.name:
        yield "a name that can be taken for that of"


def _weights(a: _Print, b: _Print) -> Iterator[str]:
    prints = [p.entry.record.model.fingerprint for p in (a, b)]
    shared = len(a.weights & b.weights)
    if (prints[0] is not None and prints[0] == prints[1]) or (shared and a.weights == b.weights):
        yield "the same weights as"
    elif shared:
        yield f"{shared} of {len(a.weights | b.weights)} weight files in common with"


def _items(a: _Print, b: _Print) -> Iterator[str]:
    """The whole record if it is near the other's, else the columns that are the other's value by value."""
    if _nulls(a) and _nulls(b):
        return
    keys = [key for key in a.means if key in b.means and len(a.columns[key]) == len(b.columns[key])]
    if not keys:
        return
    apart = np.array([abs(a.means[key] - b.means[key]) for key in keys])
    if apart.mean() <= COPIED:  # a mean over documents never differs more than its documents do
        total, count = 0.0, 0
        for key in keys:
            difference = _differences(a, b, key)
            total, count = total + float(difference.sum()), count + len(difference)
        if count >= _LEAST and total / count <= COPIED:
            yield f"items that differ by {total / count:.1g} on average from those of"
            return
    copied = 0
    if "target" in (a.entry.record.model.kind, b.entry.record.model.kind):
        return  # a model that an attack brings back answers like the target, document by document
    for key in (key for key, gap in zip(keys, apart, strict=True) if gap <= EXACT):
        difference = _differences(a, b, key)
        limit = min(EXACT, 0.1 * float(a.columns[key].std()))  # probabilities near 0 are all alike
        copied += int(
            len(difference) >= _LEAST and int(np.count_nonzero(difference <= limit)) >= 0.95 * len(difference)
        )
    if copied:
        yield f"{copied} of {len(keys)} item columns, value by value, in common with"


def _differences(a: _Print, b: _Print, key: tuple[str, str, str]) -> Floats:
    """Absolute differences of one column where either value is informative."""
    kept = a.informative[key] | b.informative[key]
    difference: Floats = np.abs(a.columns[key][kept] - b.columns[key][kept])
    return difference


def _nulls(p: _Print) -> bool:
    return p.entry.record.model.kind == "null"


def _before(a: Entry, b: Entry) -> bool:
    """Whether the first was admitted before the second; controls always were."""
    if b.record.model.kind != "unlearned":
        return False
    first, second = (entry.standing.events[0].at if entry.standing.events else "" for entry in (a, b))
    return bool(first and second and first < second)


def _numbers(column: Sequence[Value]) -> Floats:
    """One number a document: the mean of its components."""
    return np.array([_number(value) for value in column], dtype=float)


def _number(value: Value) -> float:
    known = [x for x in (value.values() if isinstance(value, dict) else (value,)) if x is not None]
    return sum(known) / len(known) if known else 2.0
