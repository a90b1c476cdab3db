"""The leaderboard folder: records, anchors, events, published tables, derived scores.

records/<submission_id>/     record.json and its item files; never change
anchors/<suite>-<version>/   target/ and retrain/, records of the controls
attacks/<attack_id>/         attack.json and the records behind it: attacks that others found on rows; never change
events/<id>.jsonl            what maintainers decided about a row or an attack, append-only
reported/<name>.json         numbers copied from publications
scores/<suite>-<version>.json  derived; `rub leaderboard rescore` rewrites them
schema/                      JSON Schema of the record
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ..errors import RecordError
from .record.attack_entry import AttackEntry, load_attack
from .record.entry import Entry, load
from .record.events import Standing, State, Tier, append_event, read_standing
from .record.reported import Reported, read_reported
from .record.sealing import read_record
from .scoring.board import Board
from .scoring.scorer import score

__all__ = ["Anchors", "Store"]


class Anchors(NamedTuple):
    """The controls of one suite version."""

    target: Entry
    retrain: Entry


class Store:
    """One leaderboard folder.

    Args:
        root: the folder; created on first write.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def entries(self) -> list[Entry]:
        """Every record with its items and standing, by id.

        Raises:
            RecordError: a file in the store is not valid.
        """
        return [load(folder, self.standing(folder.name)) for folder in self._folders("records")]

    def anchors(self) -> dict[tuple[str, str], Anchors]:
        """(suite, version) → target and retrain record.

        Raises:
            RecordError: one of the two is missing, or is of another suite than the other.
        """
        found = {}
        for folder in self._folders("anchors"):
            if not (folder / "target").is_dir() or not (folder / "retrain").is_dir():
                raise RecordError(f"{folder}: an anchor folder holds target/ and retrain/; add the missing one")
            pair = Anchors(load(folder / "target"), load(folder / "retrain"))
            suites = [(e.record.suite.name, e.record.suite.version) for e in pair]
            if suites[0] != suites[1]:
                raise RecordError(f"{folder}: target is of suite {suites[0]}, retrain of {suites[1]}; they must agree")
            found[suites[0]] = pair
        return found

    def attacks(self) -> list[AttackEntry]:
        """Every attack that others found, with its standing, by id.

        Raises:
            RecordError: a file in the store is not valid.
        """
        return [load_attack(folder, self.standing(folder.name)) for folder in self._folders("attacks")]

    def reported(self) -> list[Reported]:
        """Published tables, by file name."""
        return [read_reported(path) for path in sorted((self.root / "reported").glob("*.json"))]

    def boards(self, least: Tier = "recomputed") -> list[Board]:
        """One board for every suite version that has anchors, by name, the newest version of a suite first."""
        entries, attacks = self.entries(), self.attacks()
        return [
            score(
                [e for e in entries if (e.record.suite.name, e.record.suite.version) == key],
                *pair,
                least=least,
                found=[a for a in attacks if (a.record.on.suite, a.record.on.suite_version) == key],
            )
            for key, pair in sorted(self.anchors().items(), key=lambda item: _place(*item[0]))
        ]

    def standing(self, submission_id: str) -> Standing:
        """What the events of a row add up to."""
        return read_standing(self._events(submission_id))

    def add(self, entry: Entry, *, tier: Tier, by: str, reason: str) -> Path:
        """Copy a record and its items in, and note how far it was checked.

        Raises:
            RecordError: the record is already there.
        """
        folder = self.root / "records" / entry.id
        if folder.exists():
            raise RecordError(f"{entry.id} is already on the board; records never change")
        part = folder.with_name(f".{entry.id}.part")
        shutil.rmtree(part, ignore_errors=True)
        entry.save(part)
        part.rename(folder)
        append_event(self._events(entry.id), by=by, reason=reason, tier=tier)
        return folder

    def add_attack(self, entry: AttackEntry, *, by: str, reason: str) -> Path:
        """Copy an attack and the records behind it in, and note that its items were checked.

        Raises:
            RecordError: the attack is already there.
        """
        folder = self.root / "attacks" / entry.id
        if folder.exists():
            raise RecordError(f"{entry.id} is already on the board; records never change")
        part = folder.with_name(f".{entry.id}.part")
        shutil.rmtree(part, ignore_errors=True)
        entry.save(part)
        part.rename(folder)
        append_event(self._events(entry.id), by=by, reason=reason, tier="recomputed")
        return folder

    def judge_attack(
        self, entry: AttackEntry, *, by: str, reason: str, tier: Tier | None = None, state: State | None = None
    ) -> None:
        """Append an event to the log of an attack that is on the board.

        Raises:
            RecordError: it is not.
        """
        if not (self.root / "attacks" / entry.id).is_dir():
            raise RecordError(f"{entry.id} is not on this board; add it with `rub leaderboard attack add`")
        append_event(self._events(entry.id), by=by, reason=reason, tier=tier, state=state)

    def set_anchor(self, entry: Entry, role: str) -> Path:
        """Make a record the target or the retrain model of its suite version.

        Raises:
            RecordError: there already is one; a new control needs a new suite version.
        """
        suite = entry.record.suite
        folder = self.root / "anchors" / f"{suite.name}-{suite.version}" / role
        if folder.exists():
            raise RecordError(
                f"{folder} exists; every score depends on it: raise the suite version to change a control"
            )
        entry.save(folder)
        return folder

    def decide(self, name: str, *, by: str, reason: str, tier: Tier | None = None, state: State | None = None) -> str:
        """Append an event to a row's log and return the row's id."""
        found = self.find(name)
        append_event(self._events(found.name), by=by, reason=reason, tier=tier, state=state)
        return found.name

    def find(self, name: str) -> Path:
        """The folder of a record by id, the beginning of an id (with or without `rub1-`), or display name.

        Raises:
            RecordError: none or several match.
        """
        folders = list(self._folders("records"))
        starts = [
            f for f in folders if f.name == name or f.name.removeprefix("rub1-").startswith(name.removeprefix("rub1-"))
        ]
        hits = starts or [f for f in folders if read_record(f / "record.json").display_name == name]
        if len(hits) != 1:
            which = f"{len(hits)} records" if hits else "no record"
            raise RecordError(f"{which} of {self.root} found for {name!r}; give the submission id, or more of it")
        return hits[0]

    def _folders(self, kind: str) -> Iterator[Path]:
        folder = self.root / kind
        yield from sorted(p for p in folder.iterdir() if p.is_dir() and p.name[0] != ".") if folder.is_dir() else ()

    def _events(self, submission_id: str) -> Path:
        return self.root / "events" / f"{submission_id}.jsonl"


def _place(suite: str, version: str) -> tuple[str, list[int]]:
    return suite, [-int(part) for part in version.split(".") if part.isdecimal()]
