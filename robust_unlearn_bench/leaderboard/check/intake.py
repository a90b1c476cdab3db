"""Submissions by pull request: what may change, read from git objects alone, judged by the base branch's own code.

Nothing of the pull request is checked out or run. Allowed is one thing: new regular files

    leaderboard/records/<submission_id>/record.json
    leaderboard/records/<submission_id>/<task>.jsonl

that the record names. What counts is the tree that the merge would give, compared with the base branch: everything else
that differs is an error.
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

__all__ = ["MAX_RECORDS", "MAX_TOTAL_BYTES", "Change", "changes", "examine"]

_ALLOWED = re.compile(
    r"leaderboard/records/(rub1-[0-9a-f]{32})/(record\.json|[A-Za-z0-9][A-Za-z0-9_.\-]{0,159}\.jsonl)"
)
_PLAIN = "100644"

MAX_RECORDS = 20
"""Records of one pull request."""

MAX_TOTAL_BYTES = 128 * 1024 * 1024
"""All files of a pull request together."""


@dataclass(frozen=True, slots=True)
class Change:
    """One path that the merge would change.

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


class _NotMergeable(RecordError):
    """Git cannot say what merging the pull request would give."""


def changes(repository: Path, base: str, head: str) -> list[Change]:
    """List what merging a head would change in the base branch, path by path.

    The merge is carried out in memory. Comparing the head with a merge base instead would show what its author wants to be
    seen: with two merge bases (a criss-cross history) a merge can delete or revert what that comparison never names.

    Raises:
        RecordError: a revision is unknown, the two have no common ancestor, or several, or the merge has conflicts.
    """
    bases = _git(repository, "merge-base", "--all", base, head).decode().split()
    if len(bases) > 1:
        raise _NotMergeable(f"the branch has {len(bases)} merge bases; rebase it on the base branch, without merges")
    merged = _merged_tree(repository, base, head)
    raw = _git(repository, "diff", "--raw", "-z", "--no-renames", "--no-abbrev", f"{base}^{{tree}}", merged)
    fields = raw.decode("utf-8", "surrogateescape").split("\0")
    found = []
    for facts, path in zip(fields[::2], fields[1::2], strict=False):
        _, mode, _, blob, status = facts.split(" ")
        found.append(Change(status[0], mode, blob, path))
    return found


def examine(repository: Path, base: str, head: str) -> list[Finding]:
    """Everything that is wrong with a pull request, and the labels of its records; no error means it may be merged.

    Raises:
        RecordError: a revision is unknown, or the board of the base branch is not valid.
    """
    try:
        changed = changes(repository, base, head)
    except _NotMergeable as error:
        return [Finding("error", "pull request", str(error))]
    findings = [finding for change in changed if (finding := _forbidden(repository, change)) is not None]
    if not changed:
        findings.append(Finding("error", "pull request", "changes nothing"))
    if (size := _total(repository, changed)) > MAX_TOTAL_BYTES:
        findings.append(Finding("error", "pull request", f"{size:,} bytes, at most {MAX_TOTAL_BYTES:,} are read"))
    folders: dict[str, list[Change]] = {}
    for change in changed:
        folders.setdefault("/".join(change.path.split("/")[:3]), []).append(change)
    if len(folders) > MAX_RECORDS:
        findings.append(
            Finding("error", "pull request", f"{len(folders)} records; submit at most {MAX_RECORDS} at once")
        )
    if any(finding.level == "error" for finding in findings):
        return findings
    store = Store(repository / "leaderboard")
    board = _Board(store.anchors(), store.entries())
    for folder, files in sorted(folders.items()):
        with TemporaryDirectory() as scratch:
            findings += _judge(repository, folder.split("/")[2], files, Path(scratch), board)
    return findings


def _merged_tree(repository: Path, base: str, head: str) -> str:
    """Object name of the tree that `git merge` would give."""
    done = _run(repository, "merge-tree", "--write-tree", "--no-messages", base, head)
    if done.returncode == 1:
        raise _NotMergeable("it conflicts with the base branch; rebase it")
    return _output(done, "merge-tree").decode().split()[0]


def _total(repository: Path, changed: Sequence[Change]) -> int:
    return sum(int(_git(repository, "cat-file", "-s", c.blob)) for c in changed if c.status != "D" and c.mode == _PLAIN)


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
    if entry.record.relationship == "maintainer":
        message = "maintainer: that is for events to say; a submission is by an author or a third party"
        return [Finding("error", f"{name} relationship", message)]
    suite = entry.record.suite
    verdict = validate(entry, board.anchors.get((suite.name, suite.version)), board.entries)
    board.entries.append(entry)  # the next record of the same pull request is compared with this one
    return [Finding(f.level, f"{name} {f.field}", f.message) for f in verdict.findings]


def _git(repository: Path, *arguments: str) -> bytes:
    return _output(_run(repository, *arguments), arguments[0])


def _run(repository: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(["git", "-C", str(repository), *arguments], capture_output=True)
    except (OSError, ValueError) as error:  # no git, an argument too long or with a zero byte
        raise RecordError(f"git {arguments[0]} cannot be run ({error}); install git 2.38 or later") from error


def _output(done: subprocess.CompletedProcess[bytes], command: str) -> bytes:
    if done.returncode:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise RecordError(f"git {command}: {lines[-1] if lines else 'failed'}; fetch both branches in full")
    return done.stdout
