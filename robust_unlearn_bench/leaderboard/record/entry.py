"""What a row is made of: the record, its items, and what maintainers decided about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ...errors import RecordError
from .events import Standing
from .items import Items, describe, encode_items, read_items
from .schema import ItemFile, Record
from .sealing import read_record, seal

__all__ = ["Entry", "load"]


@dataclass(frozen=True, slots=True)
class Entry:
    """A record with its items.

    Attributes:
        record: what was submitted.
        items: task → per-document scores; tasks without an item file are absent.
        standing: tier and state that follow from the events.
    """

    record: Record
    items: Mapping[str, Items] = field(default_factory=dict)
    standing: Standing = field(default_factory=Standing)

    @property
    def id(self) -> str:
        """The submission id."""
        return self.record.submission_id

    @classmethod
    def unsaved(cls, record: Record, items: Mapping[str, Items]) -> Entry:
        """Join a new record with its items, whose files and hashes the record then names."""
        files = {task: describe(f"{task}.jsonl", encode_items(part)) for task, part in items.items()}
        return cls(_with_items(record, files), dict(items))

    def save(self, folder: Path) -> Path:
        """Write `record.json` and the item files into a folder of their own.

        Returns:
            The record file.
        """
        folder.mkdir(parents=True, exist_ok=True)
        for task, part in self.items.items():
            (folder / f"{task}.jsonl").write_bytes(encode_items(part))
        path = folder / "record.json"
        path.write_bytes(self.record.json_bytes())
        return path


def load(path: Path, standing: Standing | None = None) -> Entry:
    """Read a record (a file, or the folder that holds `record.json`) and every item file it names.

    Raises:
        RecordError: the record or an item file is not valid, or an item file is missing.
    """
    try:
        file = path / "record.json" if path.is_dir() else path
    except OSError as error:  # a name too long for the file system, a folder that may not be entered
        raise RecordError(f"{str(path)[:200]}: {error.strerror}; check the path") from error
    record = read_record(file)
    items = {
        name: read_items(file.parent / task.items.file, task.items)
        for name, task in record.suite.tasks.items()
        if task.items is not None
    }
    return Entry(record, items, standing or Standing())


def _with_items(record: Record, files: Mapping[str, ItemFile]) -> Record:
    fields = {name: getattr(record, name) for name in type(record).model_fields if name != "submission_id"}
    tasks = {name: task.model_copy(update={"items": files.get(name)}) for name, task in record.suite.tasks.items()}
    fields["suite"] = record.suite.model_copy(update={"tasks": tasks})
    return seal(**fields)
