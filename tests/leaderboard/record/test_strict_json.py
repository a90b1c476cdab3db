from __future__ import annotations

import json
import math
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from robust_unlearn_bench.errors import RecordError
from robust_unlearn_bench.leaderboard.record.strict_json import (
    MAX_DEPTH,
    MAX_LINE_BYTES,
    canonical,
    loads,
    read_bytes,
    read_lines,
)


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


def seconds(run: Callable[[], object]) -> float:
    """The best of three, in this process's own time: other processes may be busy."""
    best = math.inf
    for _ in range(3):
        started = time.process_time()
        run()
        best = min(best, time.process_time() - started)
    return best


def refused(text: str) -> Callable[[], object]:
    def run() -> None:
        with pytest.raises(RecordError):
            loads(text.encode(), "file")

    return run


TEXTS: dict[str, Callable[[int], str]] = {
    "a string that never ends, after many brackets": lambda n: '[[[[[[[[[[[[["' + '\\"' * n,
    "quotes that open and close nothing": lambda n: "[" * 13 + '"' * (2 * n + 1),
    "one key again and again": lambda n: "{" + ",".join(['"k":1'] * n) + "}",
    "many keys, the last one twice": lambda n: "{" + ",".join(f'"{i}":1' for i in range(n)) + f',"{n - 1}":2}}',
    "brackets inside of strings, then too deep": lambda n: '["' + "[{" * n + '",' + "[" * 12 + "1",
}


@pytest.mark.parametrize("what", TEXTS)
def test_time_grows_linearly_with_what_is_refused(what: str) -> None:
    """A file of 64 kB held the parser for 25 seconds: every quote began a new search to the end."""
    make = TEXTS[what]
    small, large = make(5_000), make(40_000)
    ratio = seconds(refused(large)) / max(seconds(refused(small)), 1e-4)
    assert ratio < (len(large) / len(small)) ** 1.6, what  # 64 if it were quadratic


def peak(run: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        run()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("unit", ["a", '\\"', "é"])
def test_memory_is_a_few_times_the_text(unit: str) -> None:
    """One string of 60 MB took 7 GB."""
    texts = [("[" + "[]," * 12 + '"' + unit * n + '"]').encode() for n in (50_000, 200_000)]
    peaks = [peak(lambda raw=raw: loads(raw, "file")) for raw in texts]
    assert peaks[1] < 12 * len(texts[1])
    assert peaks[1] < 1.5 * peaks[0] * len(texts[1]) / len(texts[0])


def test_a_long_line_is_refused_before_it_is_parsed() -> None:
    raw = b'{"a":1}\n"' + b"x" * MAX_LINE_BYTES + b'"\n'
    lines = read_lines(raw, "file")
    assert next(lines) == {"a": 1}
    with pytest.raises(RecordError, match=r"file line 2: 262,146 bytes, at most 262,144"):
        next(lines)
