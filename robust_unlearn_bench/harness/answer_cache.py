"""Answers kept on disk by (model, setting, attack, request), so that an interrupted run resumes attack by attack.

Each model has an SQLite file in `paths.cache_dir()/answers`, named by the fingerprint of its weights. `RUB_ANSWERS=off`
turns the cache off. An attack is not applied again if all of its answers are cached; if one is missing, the attack is
applied and all of its requests are answered, so that batches, and with them the last bits of every number, do not
depend on where a run was interrupted.

Each answer is kept with a checksum over its key and text: an answer that was damaged, edited or moved to another request
counts as missing. That guards against accidents; whoever can write the file can also write the checksum.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from ..paths import cache_dir

__all__ = ["AnswerCache", "answer_cache", "request_key"]

FORMAT = 5
"""Version of the cached answers, raised whenever the answer to a request could change."""


def request_key(setting: str, attack: Sequence[Any], kind: str, arguments: Any) -> str:
    """Compute the SHA-256 of everything except the weights that an answer depends on."""
    text = json.dumps([FORMAT, setting, list(attack), kind, arguments], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


class AnswerCache:
    """Cache of the answers of one model.

    Args:
        path: SQLite file, created with its folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(self._open()) as database, database:
            database.execute(
                "CREATE TABLE IF NOT EXISTS checked (key TEXT PRIMARY KEY, answer TEXT NOT NULL, checksum TEXT NOT NULL)"
            )

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path, timeout=60)

    def get(self, keys: Sequence[str]) -> list[Any] | None:
        """Return all answers in the order of `keys`, or None if any is missing or not what was stored."""
        found = []
        with closing(self._open()) as database:
            for key in keys:
                row = database.execute("SELECT answer, checksum FROM checked WHERE key = ?", (key,)).fetchone()
                if row is None or row[1] != _checksum(key, row[0]):
                    return None
                found.append(json.loads(row[0]))
        return found

    def put(self, keys: Sequence[str], answers: Sequence[Any]) -> None:
        """Write all answers in one transaction."""
        texts = [(key, json.dumps(answer, ensure_ascii=False)) for key, answer in zip(keys, answers, strict=True)]
        rows = [(key, text, _checksum(key, text)) for key, text in texts]
        with closing(self._open()) as database, database:
            database.executemany("INSERT OR REPLACE INTO checked VALUES (?, ?, ?)", rows)


def _checksum(key: str, text: str) -> str:
    return hashlib.sha256(f"{key}\n{text}".encode("utf-8", "surrogatepass")).hexdigest()


def answer_cache(fingerprint: str) -> AnswerCache | None:
    """Return the cache of the model with the given fingerprint, or None if $RUB_ANSWERS is off."""
    if os.environ.get("RUB_ANSWERS", "on").lower() in {"off", "0", "no", "false"}:
        return None
    return AnswerCache(cache_dir() / "answers" / f"{fingerprint[:32]}.sqlite")
