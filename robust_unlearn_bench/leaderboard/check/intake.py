"""Submissions by pull request: what may change, read from git objects alone, judged by the base branch's own code.

Nothing of the pull request is checked out or run. Allowed is one thing: new regular files

    leaderboard/records/<submission_id>/record.json
    leaderboard/records/<submission_id>/<task>.jsonl

that the record names. Everything else in the difference to the merge base is an error.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from ...errors import RecordError
from ..record.entry import Entry, load
from ..record.items import MAX_ITEM_BYTES
from ..record.sealing import MAX_RECORD_BYTES
from ..store import Anchors, Store
from .finding import Finding
from .validate import validate

__all__ = ["Change", "changes", "examine"]

_ALLOWED = re.compile(
    r"leaderboard/records/(rub1-[0-9a-f]{32})/(record\.json|[A-Za-z0-9][A-Za-z0-9_.\-]{0,159}\.jsonl)"
)
_PLAIN = "100644"


@dataclass(frozen=True, slots=True)
class Change:
    """One path that differs between merge base and head.

    Attributes:
        status: letter of git for the kind of change (A, M, D or T).
        mode: file mode of the new content.
        blob: object name of the new content.
        path: path in the repository.
    """

    status: str
    mode: str
    blob: str
    path: str


class _Board(NamedTuple):
    """What the board holds already."""

    anchors: dict[tuple[str, str], Anchors]
    entries: list[Entry]


def changes(repository: Path, base: str, head: str) -> list[Change]:
    """List what a head has changed since it left the base branch.

    Raises:
        RecordError: a revision is unknown, or the two have no common ancestor.
    """
    fork = _git(repository, "merge-base", base, head).decode().strip()
    raw = _git(repository, "diff", "--raw", "-z", "--no-renames", "--no-abbrev", fork, head)
    fields = raw.decode("utf-8", "surrogateescape").split("\0")
    found = []
    for facts, path in zip(fields[::2], fields[1::2], strict=False):
        _, mode, _, blob, status = facts.split(" ")
        found.append(Change(status[0], mode, blob, path))
    return found


def examine(repository: Path, base: str, head: str) -> list[Finding]:
    """Everything that is wrong with a pull request, and the labels of its records; no error means it may be merged."""
    changed = changes(repository, base, head)
    findings = [finding for change in changed if (finding := _forbidden(repository, change)) is not None]
    if not changed:
        findings.append(Finding("error", "pull request", "changes nothing"))
    if any(finding.level == "error" for finding in findings):
        return findings
    store = Store(repository / "leaderboard")
    board = _Board(store.anchors(), store.entries())
    folders: dict[str, list[Change]] = {}
    for change in changed:
        folders.setdefault(change.path.split("/")[2], []).append(change)
    for name, files in sorted(folders.items()):
        with TemporaryDirectory() as scratch:
            findings += _judge(repository, name, files, Path(scratch), board)
    return findings


def _forbidden(repository: Path, change: Change) -> Finding | None:
    where = ascii(change.path).strip("'")
    if not _ALLOWED.fullmatch(change.path):
        return Finding("error", where, "only new files under leaderboard/records/<submission_id>/ may change")
    if change.status != "A":
        return Finding("error", where, "records never change; submit a new one instead")
    if change.mode != _PLAIN:
        return Finding("error", where, f"mode {change.mode}: only plain files, no links, no executables")
    size = int(_git(repository, "cat-file", "-s", change.blob))
    limit = MAX_RECORD_BYTES if change.path.endswith("record.json") else MAX_ITEM_BYTES
    return Finding("error", where, f"{size:,} bytes, at most {limit:,} are read") if size > limit else None


def _judge(repository: Path, name: str, files: Sequence[Change], scratch: Path, board: _Board) -> list[Finding]:
    for change in files:
        (scratch / change.path.split("/")[3]).write_bytes(_git(repository, "cat-file", "blob", change.blob))
    try:
        entry = load(scratch)
    except RecordError as error:
        return [Finding("error", name, str(error).replace(f"{scratch}/", ""))]
    if entry.id != name:
        return [Finding("error", name, f"the folder of this record must be called {entry.id}")]
    named = {task.items.file for task in entry.record.suite.tasks.values() if task.items} | {"record.json"}
    if extra := {change.path.split("/")[3] for change in files} - named:
        return [Finding("error", name, f"files that the record does not name: {', '.join(sorted(extra))}")]
    suite = entry.record.suite
    verdict = validate(entry, board.anchors.get((suite.name, suite.version)), board.entries)
    return [Finding(f.level, f"{name} {f.field}", f.message) for f in verdict.findings]


def _git(repository: Path, *arguments: str) -> bytes:
    done = subprocess.run(["git", "-C", str(repository), *arguments], capture_output=True)
    if done.returncode:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise RecordError(f"git {arguments[0]}: {lines[-1] if lines else 'failed'}; fetch both branches in full")
    return done.stdout
