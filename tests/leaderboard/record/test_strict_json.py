from __future__ import annotations

import json
from pathlib import Path

import pytest

from robust_unlearn_bench.errors import RecordError
from robust_unlearn_bench.leaderboard.record.strict_json import MAX_DEPTH, canonical, loads, read_bytes, read_lines


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b'{"a": 1, "a": 2}', "key 'a' occurs twice"),
        (b'{"b": {"a": 1, "a": 1}}', "key 'a' occurs twice"),
        (b"[NaN]", "NaN is not JSON"),
        (b"[-Infinity]", "-Infinity is not JSON"),
        (b"[1e999]", "too large"),
        (b"[" + b"9" * 5000 + b"]", "too large"),
        (b'"\\ud800"', "lone surrogate"),
        (b'{"\\uDFFF": 1}', "lone surrogate"),
        (b"\xff", "not UTF-8 at byte 0"),
        (b"{", "not JSON at line 1"),
        (b"", "not JSON at line 1"),
        (b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), "nested deeper"),
        (b"[" * 200_000, "nested deeper"),
        (b'{"a":' * 100_000, "nested deeper"),
    ],
)
def test_what_parsers_disagree_about_is_refused(raw: bytes, message: str) -> None:
    with pytest.raises(RecordError, match=message) as caught:
        loads(raw, "file.json")
    assert str(caught.value).startswith("file.json")
    assert len(str(caught.value)) < 300


def test_brackets_inside_strings_are_not_nesting() -> None:
    assert loads(json.dumps(["[{" * 50, '"\\"[' * 40]).encode(), "x") == ["[{" * 50, '"\\"[' * 40]


def test_surrogate_pairs_are_characters() -> None:
    assert loads(b'"\\ud83d\\ude00"', "x") == "\U0001f600"


def test_canonical_bytes_do_not_depend_on_order() -> None:
    assert canonical({"b": 1, "a": [1.5, None]}) == canonical({"a": [1.5, None], "b": 1}) == b'{"a":[1.5,null],"b":1}'
    with pytest.raises(RecordError):
        canonical(float("nan"))


def test_size_links_and_folders_are_refused_before_reading(tmp_path: Path) -> None:
    big = tmp_path / "big.jsonl"
    with big.open("wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(RecordError, match="1,073,741,824 bytes"):
        read_bytes(big, 1000)
    link = tmp_path / "link"
    link.symlink_to(big)
    for path in (link, tmp_path):
        with pytest.raises(RecordError, match="not a regular file"):
            read_bytes(path, 1000)
    with pytest.raises(RecordError, match="no such file"):
        read_bytes(tmp_path / "none", 1000)


def test_lines_name_their_number() -> None:
    assert list(read_lines(b"1\n2\n", "x")) == [1, 2]
    assert list(read_lines(b"1\n2", "x")) == [1, 2]
    with pytest.raises(RecordError, match="x line 2"):
        list(read_lines(b"1\n\n3\n", "x"))
