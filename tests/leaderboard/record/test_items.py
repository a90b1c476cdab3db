from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import pytest

from robust_unlearn_bench.errors import RecordError
from robust_unlearn_bench.leaderboard.record.items import (
    Items,
    aggregate,
    cluster_id,
    describe,
    encode_items,
    read_items,
)

ITEMS = Items(
    doc_hash=("0" * 64, "1" * 64),
    prompt_hash=("2" * 64, "3" * 64),
    cluster=("p0", "p1"),
    scores={("none", "m"): (0.5, None), ("gptq4", "m"): ({"a": 1.0, "b": 0.25}, {"a": None, "b": 0.75})},
)


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_bytes(encode_items(ITEMS))
    assert read_items(path, describe("t.jsonl", path.read_bytes())) == ITEMS


def test_a_changed_byte_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    raw = encode_items(ITEMS)
    path.write_bytes(raw.replace(b"0.5", b"0.4"))
    with pytest.raises(RecordError, match="the record says"):
        read_items(path, describe("t.jsonl", raw))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"doc_id": 5}, "doc_id = 5, 1 comes here"),
        ({"doc_hash": "short"}, "line 2: doc_hash"),
        ({"text": "Call me"}, "line 2: text"),
        ({"cluster": "a whole sentence"}, "line 2: cluster"),
        ({"scores": {"none": {"m": 0.5}}}, "other runs or metrics than line 1"),
        ({"scores": {"none": {"m": "words"}}}, "line 2: scores.none.m"),
        ({"scores": {"none": {"m": {"a": "words"}}}}, "line 2: scores.none.m"),
        ({"scores": {"None!": {"m": 1.0}}}, "line 2: scores"),
    ],
)
def test_bad_lines_are_named(tmp_path: Path, change: dict[str, object], message: str) -> None:
    first, second = encode_items(ITEMS).splitlines()
    path = tmp_path / "t.jsonl"
    path.write_bytes(first + b"\n" + json.dumps({**json.loads(second), **change}).encode())
    with pytest.raises(RecordError, match=message):
        read_items(path)


def test_aggregate_by_hand() -> None:
    assert aggregate([0.5, None, 1.0]) == 0.75
    assert aggregate([None, None]) is None
    assert aggregate([]) is None
    # components: means .5 and .25, harmonic mean 2 / (2 + 4)
    assert aggregate([{"a": 1.0}, {"a": 0.0}, {"b": 0.25}]) == pytest.approx(1 / 3)
    assert aggregate([{"a": 0.0}, {"b": 1.0}]) == 0.0


def test_cluster_names_that_may_be_text_are_hashed() -> None:
    assert cluster_id("author-3") == "author-3"
    assert cluster_id("It was a dark night").startswith("c-")
    assert cluster_id("é") != cluster_id("è")
    assert cluster_id("author-3\n").startswith("c-")  # `$` of a regular expression lets a last newline through


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b'"doc_id":0', b'"doc_id": 0'),
        (b'"m":0.5', b'"m":5e-1'),
        (b'"m":0.5', b'"m":0.50'),
        (b'"none":{"m":null}}}\n', b'"none":{"m":null}}}'),
        (b'"p0"', b'"\\u0070\\u0030"'),
        (b"}}}\n{", b"}}}\n\n{"),
        (b'"a":1.0', b'"a":1'),
    ],
)
def test_equal_items_in_other_bytes_are_refused(tmp_path: Path, before: bytes, after: bytes) -> None:
    """The store writes items in their one form: a file in another passed every check and then bricked the store."""
    path = tmp_path / "t.jsonl"
    raw = encode_items(ITEMS)
    assert before in raw
    path.write_bytes(raw.replace(before, after, 1))
    with pytest.raises(RecordError):
        read_items(path, describe("t.jsonl", path.read_bytes()))


def test_truth_values_are_no_numbers(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_bytes(encode_items(ITEMS).replace(b'"m":0.5', b'"m":false'))
    with pytest.raises(RecordError, match=r"scores\.none\.m"):
        read_items(path)


def test_memory_grows_linearly_with_the_documents(tmp_path: Path) -> None:
    peaks = []
    for n in (500, 2000):
        part = Items(
            ("0" * 64,) * n, ("1" * 64,) * n, ("c",) * n, {(f"relearn{k}", "m"): (0.25,) * n for k in range(20)}
        )
        path = tmp_path / f"{n}.jsonl"
        path.write_bytes(encode_items(part))
        tracemalloc.start()
        read_items(path)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * 4 * peaks[0]
    assert peaks[1] < 10 * path.stat().st_size
