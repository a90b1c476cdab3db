"""An attack found on one model, as files: its record and, beside it, what three models score under it.

attack.json   the attack
model/        record.json and item files of the model, unattacked and under the attack
target/       the same of the target
retrain/      the same of the retrain model
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ...errors import RecordError
from .attack_record import AttackRecord, read_attack
from .entry import Entry, load
from .events import Standing

__all__ = ["FILE", "AttackEntry", "load_attack"]

FILE = "attack.json"


@dataclass(frozen=True, slots=True)
class AttackEntry:
    """An attack with the numbers behind it.

    Attributes:
        record: the attack.
        model: record and items of the model.
        target: record and items of the target.
        retrain: record and items of the retrain model.
        standing: how far it was checked, and whether it stands.
    """

    record: AttackRecord
    model: Entry
    target: Entry
    retrain: Entry
    standing: Standing = field(default_factory=Standing)

    @property
    def id(self) -> str:
        """The id of the attack."""
        return self.record.attack_id

    @property
    def verified(self) -> bool:
        """Whether it was run again and gave the same numbers."""
        return self.standing.tier == "replayed"

    @property
    def parts(self) -> dict[str, Entry]:
        """Role → record and items."""
        return {"model": self.model, "target": self.target, "retrain": self.retrain}

    def save(self, folder: Path) -> Path:
        """Write everything into a folder of its own.

        Returns:
            The file of the attack.
        """
        for role, entry in self.parts.items():
            entry.save(folder / role)
        path = folder / FILE
        path.write_bytes(self.record.json_bytes())
        return path


def load_attack(path: Path, standing: Standing | None = None) -> AttackEntry:
    """Read an attack (its file, or the folder that holds `attack.json`) and the records that it names.

    Raises:
        RecordError: a file is missing or not valid, or is another than the attack names.
    """
    file = path / FILE if path.is_dir() else path
    record = read_attack(file)
    parts = {role: load(file.parent / role) for role in ("model", "target", "retrain")}
    for role, entry in parts.items():
        if entry.id != (named := getattr(record.measured, role)):
            raise RecordError(
                f"{file.parent / role}: {entry.id}, but the attack names {named}; keep its files together"
            )
    return AttackEntry(record, standing=standing or Standing(), **parts)
