"""Sources of rows: the Hugging Face hub, or a local mirror of the same files.

`RUB_DATA=DIR` (or `--metadata data_dir=DIR`) selects a mirror; otherwise rows come from the hub. There is no silent
fallback: with a mirror, the hub is never accessed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import DataError
from .suite import Source

__all__ = ["HubSource", "MirrorSource", "fetch", "mirror_dir", "read_rows"]

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class HubSource:
    """Rows of a dataset on the Hugging Face hub.

    Attributes:
        dataset: "owner/name".
        mirror: how to supply the data without the hub, worded as the end of a sentence.
        access: steps required to get access on the hub, or "".
    """

    dataset: str
    mirror: str
    access: str = ""

    def rows(self, config: str, split: str) -> list[Row]:
        """Return the rows of one split, in dataset order.

        Raises:
            DataError: the hub cannot be reached, refuses, or has no such split.
        """
        from datasets import load_dataset

        try:
            return [dict(row) for row in load_dataset(self.dataset, config or None, split=split)]
        except Exception as error:  # errors of network, hub, cache and parser have no common base
            reason = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no details'}"
            remedy = f"{self.access}, or set" if self.access else "check the network, or set"
            raise DataError(
                f"{_part(config, split)} of {self.dataset} cannot be loaded from the Hugging Face hub ({reason}); "
                f"{remedy} RUB_DATA to {self.mirror}"
            ) from error

    def __str__(self) -> str:
        return self.dataset


@dataclass(frozen=True, slots=True)
class MirrorSource:
    """Rows of the same dataset in a local folder.

    Attributes:
        root: folder that RUB_DATA names.
        files: function from (config, split) to candidate files below `root`; the first that exists is read.
        dataset: name of the mirrored dataset, for messages.
        layout: expected content of the folder, worded as the end of a sentence.
    """

    root: Path
    files: Callable[[str, str], tuple[str, ...]]
    dataset: str
    layout: str

    def rows(self, config: str, split: str) -> list[Row]:
        """Return the rows of one file, in order.

        Raises:
            DataError: the folder or file is missing or malformed.
        """
        if not self.root.is_dir():
            raise DataError(
                f"RUB_DATA={self.root} is not a folder; set it to {self.layout}, or unset it to read {self.dataset} "
                "from the Hugging Face hub"
            )
        candidates = [self.root / name for name in self.files(config, split)]
        for path in candidates:
            if path.is_file():
                return read_rows(path)
        raise DataError(
            f"{_part(config, split)} of {self.dataset} is not in the local mirror: there is no {candidates[0]}; set "
            f"RUB_DATA to {self.layout}, or unset it to read {self.dataset} from the Hugging Face hub"
        )

    def __str__(self) -> str:
        return str(self.root)


def mirror_dir(data_dir: str | None) -> Path | None:
    """Return the local mirror to use: the argument, else $RUB_DATA, else None."""
    chosen = data_dir or os.environ.get("RUB_DATA")
    return Path(chosen).expanduser() if chosen else None


def fetch(source: Source, config: str, split: str, **columns: type) -> list[Row]:
    """Return the rows of one split, checked and reduced to the named columns.

    Args:
        source: source of the rows.
        config: dataset configuration.
        split: split of the configuration.
        columns: type of each column: `str`, `int`, or `list` for a non-empty list of strings.

    Returns:
        Rows with the named columns in the order given, and with "cluster" if present.

    Raises:
        DataError: the split is empty, a row lacks a column, or a value has another type.
    """
    rows = source.rows(config, split)
    where = f"{_part(config, split)} of {source}"
    if not rows:
        raise DataError(f"{where} is empty; download it again")
    for number, row in enumerate(rows):
        for column, kind in columns.items():
            if column not in row:
                raise DataError(f"row {number} of {where} has no column {column!r}, only {', '.join(sorted(row))}")
            value = row[column]
            if not (_strings(value) if kind is list else isinstance(value, kind)):
                raise DataError(f"row {number} of {where} has {column}={str(value)[:40]!r}; {_NEEDS[kind]} is needed")
    return [{column: row[column] for column in (*columns, "cluster") if column in row} for row in rows]


def read_rows(path: Path) -> list[Row]:
    """Read rows from a JSON array, JSON lines or plain text (one row); a bare string becomes {"text": …}.

    Raises:
        DataError: the file is not UTF-8 or not JSON, or an item is neither an object nor a string.
    """
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 at byte {error.start}; save it as UTF-8") from error
    if path.suffix == ".txt":
        return [{"text": text}]
    rows: list[Row] = []
    for number, item in enumerate(_items(path, text)):
        if not isinstance(item, dict | str):
            raise DataError(f"item {number} of {path} is a {type(item).__name__}; an object or a string is needed")
        rows.append({"text": item} if isinstance(item, str) else item)
    return rows


def _items(path: Path, text: str) -> list[Any]:
    if text.lstrip().startswith("["):
        try:
            items: list[Any] = json.loads(text)
        except json.JSONDecodeError as error:
            raise DataError(
                f"{path} is not valid JSON at line {error.lineno} ({error.msg}); download it again"
            ) from error
        return items
    items = []
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                items.append(json.loads(line))
            except json.JSONDecodeError as error:
                raise DataError(
                    f"{path} is not valid JSON at line {number} ({error.msg}); download it again"
                ) from error
    return items


def _part(config: str, split: str) -> str:
    return f"{config}/{split}" if config else split


_NEEDS = {str: "a string", int: "an integer", list: "a non-empty list of strings"}


def _strings(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, str) for item in value)
