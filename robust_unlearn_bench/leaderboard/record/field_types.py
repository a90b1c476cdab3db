"""The strings and numbers that records are made of: what may stand in each."""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime, timezone
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, StringConstraints, ValidationError

__all__ = [
    "AttackName",
    "Count",
    "Dtype",
    "FileName",
    "Key",
    "Label",
    "ModelName",
    "Options",
    "Revision",
    "Seed",
    "Sha256",
    "Strict",
    "Text",
    "Url",
    "Utc",
    "explain",
    "plain_name",
    "utc_now",
]

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})


def _printable(text: str) -> str:
    """Refuse control, bidirectional, surrogate, private-use and line-separator characters."""
    for character in text:
        if unicodedata.category(character) in _HIDDEN:
            raise ValueError(f"holds the invisible character U+{ord(character):04X}")
    return text


def _utc(text: str) -> str:
    datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ")
    return text


def _clean(value: JsonValue) -> JsonValue:
    """Apply `_printable` to every string of a free-form value."""
    if isinstance(value, str):
        if len(value) > 400:
            raise ValueError("holds a string of more than 400 characters")
        return _printable(value)
    if isinstance(value, dict):
        for key, part in value.items():
            _clean(key)
            _clean(part)
    elif isinstance(value, list):
        for part in value:
            _clean(part)
    return value


def _text(longest: int, shortest: int = 1) -> Any:
    return Annotated[str, StringConstraints(min_length=shortest, max_length=longest), AfterValidator(_printable)]


# Names that become file names, anchors or table headers; free text is _text(…).
Key = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_.\-]{0,79}$")]
AttackName = Annotated[str, StringConstraints(pattern=r"^[a-z][A-Za-z0-9_.+@\-]{0,119}$")]
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.\-]{0,159}$")]
# What commands are printed with; no comma, no equals sign, no space: nothing that a program could split into options.
_PART = r"[A-Za-z0-9][A-Za-z0-9._\-]{0,95}"
ModelName = Annotated[str, StringConstraints(pattern=rf"^{_PART}(/{_PART})?$")]
Revision = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/\-]{0,79}$")]
Dtype = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_.]{0,39}$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Label = Annotated[str, StringConstraints(min_length=1, max_length=80, pattern=r"\S"), AfterValidator(_printable)]
Text = _text(400)
Url = Annotated[
    str, StringConstraints(pattern=r"^https://[A-Za-z0-9.\-]+(/[A-Za-z0-9_.~%/?=&#+:@,\-]*)?$", max_length=300)
]
Utc = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"), AfterValidator(_utc)]
Count = Annotated[int, Field(ge=0)]
Seed = Annotated[int, Field(ge=0, le=2**32)]
Options = Annotated[dict[Key, Annotated[JsonValue, AfterValidator(_clean)]], Field(max_length=80)]


class Strict(BaseModel):
    """Base of every part: unknown keys and silent conversions are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False, defer_build=True)


def plain_name(text: str) -> str:
    """The nearest `ModelName`: a hub name as it is, of anything else the last part of the path without odd characters."""
    if re.fullmatch(rf"{_PART}(/{_PART})?", text):
        return text
    last = re.sub(r"[^A-Za-z0-9._\-]+", "-", text.rstrip("/").rpartition("/")[2]).lstrip("._-")
    return last[:96] or "model"


def explain(error: ValidationError, where: str) -> str:
    """One sentence about the first failure: field, value, rule."""
    first, others = error.errors()[0], error.error_count() - 1
    field = ".".join(ascii(part).strip("'")[:80] for part in first["loc"])
    given = first["input"]
    shown = f" = {_excerpt(given)}" if isinstance(given, (str, int, float, bool, type(None))) else ""
    rule = str(first["msg"]).removeprefix("Value error, ")
    more = f" (and {others} more)" if others else ""
    return f"{where}: {field + shown + ': ' if field else ''}{rule}{more}"


def _excerpt(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= 60 else text[:57] + "…"


def utc_now() -> str:
    """Now, as records write it."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
