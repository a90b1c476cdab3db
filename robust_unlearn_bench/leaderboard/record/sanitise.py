"""Free-form values, reduced to what a record may hold."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["sanitised"]

_DEEPEST, _LONGEST_LIST, _LONGEST_TEXT = 4, 64, 200


def sanitised(value: Any, depth: int = 0) -> Any:
    """Reduce a value to finite numbers, short printable strings, short lists and shallow mappings with plain keys.

    Args:
        value: any value.
        depth: how deep the value is nested already.

    Returns:
        The value with longer strings and lists cut off, and with None for what a record cannot hold.
    """
    if isinstance(value, Mapping):
        kept = {_key(key): sanitised(part, depth + 1) for key, part in value.items()}
        return kept if depth < _DEEPEST else None
    if isinstance(value, (list, tuple)):
        return [sanitised(part, depth + 1) for part in value[:_LONGEST_LIST]] if depth < _DEEPEST else None
    if isinstance(value, float) and (value != value or abs(value) > 1e300):
        return None
    if isinstance(value, (bool, int, float, type(None))):
        return value
    return "".join(c if c.isprintable() else " " for c in str(value))[:_LONGEST_TEXT]


def _key(key: object) -> str:
    plain = re.sub(r"[^A-Za-z0-9_.\-]", "_", str(key))[:80]
    return plain if re.match(r"[A-Za-z_]", plain) else f"_{plain}"[:80]
