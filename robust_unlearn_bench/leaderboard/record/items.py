"""Item files: what one model scored on every document of one task, under every attack. Hashes and numbers, never text.

One line a document:

    {"doc_id": 0, "doc_hash": "…", "prompt_hash": "…", "cluster": "author-3",
     "scores": {"none": {"rouge": 0.91}, "gptq4": {"rouge": 0.93}, "relearn50#1": {"rouge": 0.97}}}

A score is a number, null (not scored), or an object of numbers where the metric is made of components. Equal items have
equal bytes: a file that is written in another way than `encode_items` writes it is not read.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import Field, StringConstraints, TypeAdapter, ValidationError

from ...errors import RecordError
from ...metrics.membership import SIDES, familiarity
from .field_types import Count, Key, Sha256, Strict, explain
from .schema import ItemFile
from .strict_json import canonical, read_bytes, read_lines

__all__ = ["MAX_ITEM_BYTES", "Items", "Value", "aggregate", "cluster_id", "describe", "encode_items", "read_items"]

MAX_ITEM_BYTES = 32 * 1024 * 1024
"""Largest item file; the largest suite, 14,000 questions under eight attacks, takes half of it."""

_CLUSTER = r"^[A-Za-z0-9_.:/\-]{1,64}$"  # pydantic's `$` is the end of the text, that of `re` may precede a newline
Cluster = Annotated[str, StringConstraints(pattern=_CLUSTER)]
RunId = Annotated[str, StringConstraints(pattern=r"^[a-z][A-Za-z0-9_.+@\-]{0,119}(#[0-9]{1,10})?$")]
Value = float | None | dict[Key, float | None]


class _Row(Strict):
    doc_id: Count
    doc_hash: Sha256
    prompt_hash: Sha256
    cluster: Cluster
    scores: Annotated[dict[RunId, dict[Key, Value]], Field(max_length=400)]


_ROW = TypeAdapter(_Row)


@dataclass(frozen=True, slots=True)
class Items:
    """Scores of one task, by column.

    Attributes:
        doc_hash: lm-eval's hash of each document, in dataset order.
        prompt_hash: lm-eval's hash of the first prompt of each document.
        cluster: the unit that a bootstrap resamples, one for each document.
        scores: (run id, metric) → one value for each document.
    """

    doc_hash: tuple[str, ...]
    prompt_hash: tuple[str, ...]
    cluster: tuple[str, ...]
    scores: Mapping[tuple[str, str], tuple[Value, ...]]

    def __len__(self) -> int:
        return len(self.doc_hash)

    def only(self, metrics: Sequence[str]) -> Items:
        """The same documents with the columns of these metrics."""
        scores = {key: column for key, column in self.scores.items() if key[1] in metrics}
        return Items(self.doc_hash, self.prompt_hash, self.cluster, scores)


def cluster_id(name: object) -> str:
    """A cluster name that may be published: as it is when it is an identifier, else hashed (it might be text)."""
    text = str(name)
    return text if re.fullmatch(_CLUSTER, text) else f"c-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def aggregate(values: Sequence[Value]) -> float | None:
    """Mean of the scored items; for items made of components, the harmonic mean of the components' means.

    The harmonic mean of means with a zero among them is 0. Items of the two sides of a membership test become their
    `familiarity`. None when nothing, or one whole component, is unscored.
    """
    parts: dict[str, list[float]] = {}
    for value in values:
        for name, number in value.items() if isinstance(value, dict) else [("", value)]:
            if number is not None:
                parts.setdefault(name, []).append(number)
    if not parts:
        return None
    means = [math.fsum(numbers) / len(numbers) for numbers in parts.values()]
    if len(means) == 1:
        return means[0]
    if parts.keys() == SIDES:
        own = dict(zip(parts, means, strict=True))
        return familiarity(own["forget"], own["holdout"]) if own["holdout"] > 0 else None
    return len(means) / math.fsum(1 / mean for mean in means) if min(means) > 0 else 0.0


def encode_items(items: Items) -> bytes:
    """The file's content; equal items give equal bytes."""
    lines = []
    for i, (doc, prompt, cluster) in enumerate(zip(items.doc_hash, items.prompt_hash, items.cluster, strict=True)):
        scores: dict[str, dict[str, Value]] = {}
        for (run, metric), values in items.scores.items():
            scores.setdefault(run, {})[metric] = values[i]
        row = {"doc_id": i, "doc_hash": doc, "prompt_hash": prompt, "cluster": cluster, "scores": scores}
        lines.append(canonical(row) + b"\n")
    return b"".join(lines)


def describe(name: str, raw: bytes) -> ItemFile:
    """What a record says about an item file with this content."""
    return ItemFile(file=name, sha256=hashlib.sha256(raw).hexdigest(), bytes=len(raw))


def read_items(path: Path, expected: ItemFile | None = None) -> Items:
    """Read and check an item file; time and memory grow linearly with its size.

    Args:
        path: the JSONL file.
        expected: what the record says about it; checked before anything is parsed.

    Raises:
        RecordError: size, hash, syntax, a field, the order of documents, a run that some documents lack, or other
            bytes than `encode_items` writes.
    """
    raw = read_bytes(path, MAX_ITEM_BYTES if expected is None else min(MAX_ITEM_BYTES, expected.bytes))
    digest = hashlib.sha256(raw).hexdigest()
    if expected is not None and digest != expected.sha256:
        raise RecordError(
            f"{path}: sha256 = {digest}, the record says {expected.sha256}; submit the file it was made with"
        )
    table = _Columns()
    for number, value in enumerate(read_lines(raw, str(path)), start=1):
        try:
            row = _ROW.validate_python(value)
        except ValidationError as error:
            raise RecordError(explain(error, f"{path} line {number}")) from error
        if row.doc_id != number - 1:
            raise RecordError(
                f"{path} line {number}: doc_id = {row.doc_id}, {number - 1} comes here; keep dataset order"
            )
        if not table.add(row):
            raise RecordError(
                f"{path} line {number}: scores names other runs or metrics than line 1; give every cell, null if unscored"
            )
    items = table.items()
    if encode_items(items) != raw:
        raise RecordError(
            f"{path}: not written as item files are (order, spaces, number format); build the record again"
        )
    return items


@dataclass(slots=True)
class _Columns:
    """The rows that have been read, by column."""

    doc_hash: list[str] = field(default_factory=list)
    prompt_hash: list[str] = field(default_factory=list)
    cluster: list[str] = field(default_factory=list)
    scores: dict[tuple[str, str], list[Value]] = field(default_factory=dict)

    def add(self, row: _Row) -> bool:
        """Append a row; False if it has other columns than the first."""
        values = {(run, metric): value for run, metrics in row.scores.items() for metric, value in metrics.items()}
        if not self.doc_hash:
            self.scores = {key: [] for key in values}
        elif values.keys() != self.scores.keys():
            return False
        self.doc_hash.append(row.doc_hash)
        self.prompt_hash.append(row.prompt_hash)
        self.cluster.append(row.cluster)
        for key, value in values.items():
            self.scores[key].append(value)
        return True

    def items(self) -> Items:
        scores = {key: tuple(column) for key, column in self.scores.items()}
        return Items(tuple(self.doc_hash), tuple(self.prompt_hash), tuple(self.cluster), scores)
