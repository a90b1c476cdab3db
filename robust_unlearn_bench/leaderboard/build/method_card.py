"""How a model was unlearned, read from the `unlearning.json` in its folder into the fields of `schema.Method`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...errors import RecordError
from ..record.sanitise import sanitised
from ..record.schema import Method

__all__ = ["method_fields", "method_of"]


_DERIVED = ("grade", "rule")
"""What follows from the optimizer's name."""


def method_of(folder: Path | None) -> dict[str, Any]:
    """Fields of `schema.Method` found in the folder's `unlearning.json`; other scalars become hyper-parameters.

    Raises:
        RecordError: the file is not a JSON object.
    """
    path = folder / "unlearning.json" if folder else None
    if path is None or not path.is_file():
        return {}
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RecordError(f"{path}: not JSON; run `rub unlearn` again") from error
    if not isinstance(card, Mapping):
        raise RecordError(f"{path}: not a JSON object; run `rub unlearn` again")
    return method_fields(card)


def method_fields(card: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of `schema.Method` among those of a card or a recipe; other scalars become hyper-parameters."""
    known = {key: value for key, value in card.items() if key in Method.model_fields and value is not None}
    others = {k: v for k, v in card.items() if k not in (*known, *_DERIVED) and isinstance(v, (bool, int, float, str))}
    return {**known, "hyperparameters": sanitised({**others, **known.get("hyperparameters", {})})}
