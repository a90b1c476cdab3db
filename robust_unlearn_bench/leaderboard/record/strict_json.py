"""Reading JSON that a stranger wrote, and writing JSON that always has the same bytes."""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NoReturn

from ...errors import RecordError

__all__ = ["MAX_DEPTH", "canonical", "loads", "pretty", "read_bytes", "read_lines"]

MAX_DEPTH = 12
"""Deepest nesting of objects and arrays that is read."""

_STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]]')
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
        raise RecordError(f"{path}: no such file; check the path") from error
    if not stat.S_ISREG(facts.st_mode):
        raise RecordError(f"{path}: not a regular file; links, folders and devices are not read")
    if facts.st_size > limit:
        raise RecordError(f"{path}: {facts.st_size:,} bytes, at most {limit:,} are read")
    return path.read_bytes()


def read_lines(raw: bytes, where: str) -> Iterator[Any]:
    """Values of a JSONL file, one a line; the last line may lack its newline."""
    lines = raw.split(b"\n")
    for number, line in enumerate(islice(lines, len(lines) - (lines[-1] == b"")), start=1):
        yield loads(line, f"{where} line {number}")


def _object(pairs: list[tuple[str, Any]], where: str) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        keys = [key for key, _ in pairs]
        _refuse(f"{where}: the key {next(k for k in keys if keys.count(k) > 1)!r} occurs twice; keep one")
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
    """Bound the nesting before the recursive parser sees it."""
    if text.count("{") + text.count("[") <= MAX_DEPTH:
        return
    depth = 0
    for match in _STRING_OR_BRACKET.finditer(text):
        bracket = match[0]
        depth += (bracket in "{[") - (bracket in "}]") if len(bracket) == 1 else 0
        if depth > MAX_DEPTH:
            _refuse(f"{where}: nested deeper than {MAX_DEPTH} levels; flatten the value")


def _refuse(message: str) -> NoReturn:
    raise RecordError(message)
