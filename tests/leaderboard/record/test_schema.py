from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from robust_unlearn_bench.errors import RecordError
from robust_unlearn_bench.leaderboard.record.entry import Entry
from robust_unlearn_bench.leaderboard.record.schema import run_id
from robust_unlearn_bench.leaderboard.record.sealing import (
    MAX_RECORD_BYTES,
    parse_record,
    read_record,
    seal,
)


@pytest.fixture
def fields(cast: dict[str, Entry]) -> dict[str, Any]:
    value: dict[str, Any] = cast["adam"].record.model_dump(mode="json")
    value.pop("submission_id")
    return value


def put(fields: dict[str, Any], path: str, value: Any) -> None:
    *steps, last = path.split("/")
    part: Any = fields
    for step in steps:
        part = part[int(step) if isinstance(part, list) else step]
    part[int(last) if isinstance(part, list) else last] = value


def test_round_trip_keeps_id_and_bytes(cast: dict[str, Entry]) -> None:
    record = cast["adam"].record
    again = parse_record(record.json_bytes(), "x")
    assert again == record
    assert again.json_bytes() == record.json_bytes()


def test_the_id_changes_with_the_content_alone(fields: dict[str, Any]) -> None:
    same = seal(**dict(reversed(fields.items())))
    assert same.submission_id == seal(**fields).submission_id
    fields["display_name"] += "!"
    assert seal(**fields).submission_id != same.submission_id


def test_an_edited_record_is_refused(cast: dict[str, Entry], tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_bytes(cast["adam"].record.json_bytes().replace(b'"NPO Adam"', b'"NPO Best"'))
    with pytest.raises(RecordError, match="the content hashes to"):
        read_record(path)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("display_name", "x" * 81, "display_name"),
        ("display_name", "", "display_name"),
        ("display_name", "  ", "display_name"),
        ("display_name", "a\u202eb", r"display_name = 'a\\u202eb': holds the invisible character U\+202E"),
        ("display_name", "a\u2028b", r"U\+2028"),
        ("display_name", "a\nb", r"U\+000A"),
        ("display_name", 7, "display_name = 7"),
        ("submitted_at", "2026-13-01T00:00:00Z", "submitted_at"),
        ("submitted_at", "yesterday", "submitted_at"),
        ("relationship", "friend", "relationship"),
        ("surprise", 1, "surprise"),
        ("suite/limit", 10, "suite.limit"),
        ("suite/name", "../../etc", "suite.name"),
        ("method/paper", "javascript:alert(1)", "method.paper"),
        ("method/code_url", "http://example.org", "method.code_url"),
        ("method/code_url", 'https://example.org/"onclick', "method.code_url"),
        ("method/optimizer", "<b>", "method.optimizer"),
        ("model/format", "pickle", "model.format"),
        ("model/weights", {"../model.safetensors": {"sha256": "0" * 64, "bytes": 1}}, "model.weights"),
        ("model/weights", {"model.safetensors": {"sha256": "0" * 63, "bytes": 1}}, "model.weights"),
        ("model/weights", {"model.safetensors": {"sha256": "0" * 64, "bytes": -1}}, "model.weights"),
        ("results/0/value", 1.2, r"results.0.value = 1.2: forget metrics lie in \[0, 1\]"),
        ("results/0/value", "0.5", "results.0.value = '0.5'"),
        ("results/0/value", True, "results.0.value = True"),
        ("results/0/n", 1000, "results.0.n = 1000"),
        ("results/0/task", "nano_books_other", "results.0"),
        ("results/0/attack", "gptq8", "results.0"),
        ("results/1", None, "results.1"),
        ("attacks/0/name", "<script>", "attacks.0.name"),
        ("attacks/0/config", [{"text": "x" * 401}], "attacks.0.config"),
        ("attacks/0/diagnostics", [{"note": ["\u200b"]}], "attacks.0.diagnostics"),
        ("schema_version", 0, "schema_version = 0"),
    ],
)
def test_every_rule_names_the_field(fields: dict[str, Any], path: str, value: Any, message: str) -> None:
    put(fields, path, value)
    with pytest.raises(RecordError, match=message) as caught:
        seal(**fields)
    assert str(caught.value).isprintable()


def test_a_cell_may_occur_once(fields: dict[str, Any]) -> None:
    fields["results"].append(fields["results"][0])
    with pytest.raises(RecordError, match="occurs twice"):
        seal(**fields)


def test_an_attack_may_be_declared_once(fields: dict[str, Any]) -> None:
    fields["attacks"].append(fields["attacks"][0])
    with pytest.raises(RecordError, match="none is declared twice"):
        seal(**fields)


def test_a_future_schema_says_how_to_upgrade(fields: dict[str, Any]) -> None:
    raw = json.dumps({**fields, "schema_version": 2, "submission_id": "rub2-x"}).encode()
    with pytest.raises(RecordError, match="pip install -U robust-unlearn-bench"):
        parse_record(raw, "x")


@pytest.mark.parametrize("raw", [b"[]", b"null", b'"text"', b"3"])
def test_other_json_is_refused(raw: bytes) -> None:
    with pytest.raises(RecordError, match="a record is a JSON object"):
        parse_record(raw, "x")


def test_a_large_record_is_refused_by_size(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_bytes(b" " * (MAX_RECORD_BYTES + 1))
    with pytest.raises(RecordError, match="262,145 bytes"):
        read_record(path)


def test_run_ids() -> None:
    assert run_id("relearn50", 0) == "relearn50"
    assert run_id("relearn50", 2) == "relearn50#2"


@pytest.mark.parametrize("name", ["aux", "NUL", "com1", "Con.x"])
def test_item_files_have_names_that_every_system_has(fields: dict[str, Any], name: str) -> None:
    tasks = fields["suite"]["tasks"]
    tasks[name] = {**tasks["nano_books_verbmem"], "items": None}
    with pytest.raises(RecordError, match="the name of a device"):
        seal(**fields)


def test_item_files_do_not_differ_in_case_alone(fields: dict[str, Any]) -> None:
    """On a system that does not tell the two apart, one file would be read for both."""
    tasks = fields["suite"]["tasks"]
    tasks["nano_books_Verbmem"] = {**tasks["nano_books_verbmem"], "items": None}
    with pytest.raises(RecordError, match="upper and lower case alone"):
        seal(**fields)


def test_an_item_file_is_called_like_its_task(fields: dict[str, Any]) -> None:
    task = fields["suite"]["tasks"]["nano_books_verbmem"]
    task["items"]["file"] = "nano_books_knowmem_forget.jsonl"
    with pytest.raises(RecordError, match=r"the file is called nano_books_verbmem\.jsonl"):
        seal(**fields)
