"""Reading JSON that a stranger wrote, and writing JSON that always has the same bytes."""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from ...errors import RecordError

__all__ = ["MAX_DEPTH", "MAX_LINE_BYTES", "canonical", "loads", "pretty", "read_bytes", "read_lines"]

MAX_DEPTH = 12
"""Deepest nesting of objects and arrays that is read."""

MAX_LINE_BYTES = 256 * 1024
"""Longest line of a JSONL file that is read: a document under 400 attacks with four metrics each takes half of it."""

_TOKEN = re.compile(r'\\.|["{}\[\]]', re.DOTALL)
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def canonical(value: Any) -> bytes:
    """UTF-8 JSON with sorted keys and no spaces: equal values give equal bytes.

    Raises:
        RecordError: the value holds NaN, an infinity or a lone surrogate.
    """
    return _dump(value, separators=(",", ":"))


def pretty(value: Any) -> bytes:
    """The same for people: indented, with a final newline."""
    return _dump(value, indent=1) + b"\n"


def _dump(value: Any, **layout: Any) -> bytes:
    try:
        return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False, **layout).encode()
    except (ValueError, UnicodeEncodeError) as error:
        raise RecordError(f"a value cannot be written as JSON ({error}); leave it out or make it finite") from error


def loads(raw: bytes, where: str) -> Any:
    """Parse JSON, refusing what parsers read in different ways.

    Args:
        raw: UTF-8 bytes.
        where: file (and line) named in messages.

    Raises:
        RecordError: not UTF-8, not JSON, a duplicate key, NaN or an infinity, a lone surrogate, or too deep.
    """
    try:
        text = raw.decode("utf-8")
        _check_depth(text, where)
        value = json.loads(
            text,
            object_pairs_hook=lambda pairs: _object(pairs, where),
            parse_constant=lambda name: _refuse(f"{where}: {name} is not JSON; write null for an unknown value"),
            parse_float=lambda digits: _float(digits, where),
            parse_int=lambda digits: _int(digits, where),
        )
        if _SURROGATE.search(text):
            json.dumps(value, ensure_ascii=False).encode()
        return value
    except UnicodeEncodeError as error:
        raise RecordError(f"{where}: a lone surrogate escape stands for no character; remove it") from error
    except UnicodeDecodeError as error:
        raise RecordError(f"{where}: not UTF-8 at byte {error.start}; save the file as UTF-8") from error
    except json.JSONDecodeError as error:
        raise RecordError(
            f"{where}: not JSON at line {error.lineno}, column {error.colno} ({error.msg.lower()}); repair the file"
        ) from error


def read_bytes(path: Path, limit: int) -> bytes:
    """Content of a regular file, refused by its size before it is read.

    Raises:
        RecordError: missing, a link or special file, or larger than `limit` bytes.
    """
    try:
        facts = path.lstat()
    except (OSError, ValueError) as error:
        raise RecordError(f"{str(path)[:300]}: no such file; check the path") from error
    if not stat.S_ISREG(facts.st_mode):
        raise RecordError(f"{path}: not a regular file; links, folders and devices are not read")
    if facts.st_size > limit:
        raise RecordError(f"{path}: {facts.st_size:,} bytes, at most {limit:,} are read")
    try:
        return path.read_bytes()
    except OSError as error:
        raise RecordError(f"{path}: {error.strerror}; check the file's permissions") from error


def read_lines(raw: bytes, where: str) -> Iterator[Any]:
    """Values of a JSONL file, one a line; the last line may lack its newline.

    Raises:
        RecordError: a line is longer than `MAX_LINE_BYTES`, or is not JSON as `loads` reads it.
    """
    start, number = 0, 1
    while start < len(raw):
        end = raw.find(b"\n", start)
        end = len(raw) if end < 0 else end
        if end - start > MAX_LINE_BYTES:
            _refuse(f"{where} line {number}: {end - start:,} bytes, at most {MAX_LINE_BYTES:,} are read in a line")
        yield loads(raw[start:end], f"{where} line {number}")
        start, number = end + 1, number + 1


def _object(pairs: list[tuple[str, Any]], where: str) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                _refuse(f"{where}: the key {ascii(key)[:80]} occurs twice; keep one")
            seen.add(key)
    return value


def _float(digits: str, where: str) -> float:
    value = float(digits)
    if value in (float("inf"), float("-inf")):
        _refuse(f"{where}: the number {digits[:40]} is too large; write a finite value")
    return value


def _int(digits: str, where: str) -> int:
    if len(digits) > 18:
        _refuse(f"{where}: the number {digits[:40]} is too large; write at most 18 digits")
    return int(digits)


def _check_depth(text: str, where: str) -> None:
    """Bound the nesting before the recursive parser sees it, in one pass and constant memory.

    A match of whole strings would start again at every quote of a text whose last string never ends.
    """
    if text.count("{") + text.count("[") <= MAX_DEPTH:
        return
    depth, within = 0, False
    for match in _TOKEN.finditer(text):
        token = match[0]
        if token == '"':
            within = not within
        elif not within and len(token) == 1:
            depth += 1 if token in "{[" else -1
            if depth > MAX_DEPTH:
                _refuse(f"{where}: nested deeper than {MAX_DEPTH} levels; flatten the value")


def _refuse(message: str) -> NoReturn:
    raise RecordError(message)
