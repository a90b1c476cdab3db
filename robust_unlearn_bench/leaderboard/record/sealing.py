"""Records as files: read, check and seal them. A record's id is the hash of its content."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ...errors import RecordError
from .field_types import explain
from .schema import SCHEMA_VERSION, Record
from .strict_json import canonical, loads, pretty, read_bytes

__all__ = ["MAX_RECORD_BYTES", "identity", "json_schema", "parse_record", "read_record", "seal"]

MAX_RECORD_BYTES = 256 * 1024


def identity(fields: Mapping[str, Any], prefix: str = "rub1", own: str = "submission_id") -> str:
    """The prefix and the first 128 bits of the SHA-256 of the canonical JSON of everything but the id itself.

    Args:
        fields: content of the record.
        prefix: beginning of the id, which names the kind of record.
        own: field that holds the id.
    """
    body = {key: value for key, value in fields.items() if key != own}
    return f"{prefix}-{hashlib.sha256(canonical(body)).hexdigest()[:32]}"


def seal(**fields: Any) -> Record:
    """Build a record and give it the id that its content has. What is sealed can be read again.

    Raises:
        RecordError: a field breaks the schema, or the file would be too large; the message names field, value and rule.
    """
    draft = _validated({**fields, "submission_id": "rub1-" + "0" * 32}, "record").model_dump(mode="json")
    raw = pretty({**draft, "submission_id": identity(draft)})
    if len(raw) > MAX_RECORD_BYTES:
        raise RecordError(f"record: {len(raw):,} bytes, at most {MAX_RECORD_BYTES:,} are read; shorten the diagnostics")
    return parse_record(raw, "record")


def parse_record(raw: bytes, where: str) -> Record:
    """Parse, validate and check the id.

    Raises:
        RecordError: anything is wrong; the message names field, value and rule.
    """
    value = loads(raw, where)
    if not isinstance(value, dict):
        raise RecordError(f"{where}: a record is a JSON object, this is a {type(value).__name__}")
    version = value.get("schema_version")
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise RecordError(
            f"{where}: schema_version = {version} is newer than this installation reads ({SCHEMA_VERSION}); "
            "upgrade with `pip install -U robust-unlearn-bench`"
        )
    record = _validated(value, where)
    if record.submission_id != (expected := identity(record.model_dump(mode="json"))):
        raise RecordError(
            f"{where}: submission_id = {record.submission_id} but the content hashes to {expected}; "
            "records are immutable: build a new one instead of editing"
        )
    return record


def read_record(path: Path) -> Record:
    """Read one record file.

    Raises:
        RecordError: the file is too large, a link, or not a valid record.
    """
    return parse_record(read_bytes(path, MAX_RECORD_BYTES), str(path))


def json_schema() -> dict[str, Any]:
    """JSON Schema of the record, for other tools; the file in `leaderboard/schema/` is tested to equal it."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Record.model_json_schema()}


def _validated(value: Mapping[str, Any], where: str) -> Record:
    try:
        return Record.model_validate(value)
    except ValidationError as error:
        raise RecordError(explain(error, where)) from error
