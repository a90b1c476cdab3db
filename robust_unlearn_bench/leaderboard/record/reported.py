"""Numbers copied from publications: shown beside the board with their source and caveats, never ranked, never mixed in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, model_validator

from ...errors import RecordError
from .field_types import AttackName, Key, Label, Strict, Text, Url, explain
from .strict_json import loads, read_bytes

__all__ = ["Reported", "ReportedRow", "read_reported"]

_MAX_BYTES = 256 * 1024

Share = Annotated[float, Field(ge=0, le=1)]


class Source(Strict):
    """Where the numbers were printed."""

    citation: Text
    url: Url
    table: Label


class ReportedMetric(Strict):
    """A printed column group; its name here and what it is about."""

    title: Label
    role: Literal["forget", "utility", "report"]


class ReportedRow(Strict):
    """One printed row.

    Attributes:
        label: the optimizer or model as printed.
        kind: "target" and "retrain" for the controls.
        objective: registry name, or None for a control.
        optimizer: registry name, or None for a control.
        values: metric → attack → fraction.
    """

    label: Label
    kind: Literal["unlearned", "target", "retrain"] = "unlearned"
    objective: Key | None = None
    optimizer: Key | None = None
    values: dict[Key, dict[AttackName, Share]]


class Reported(Strict):
    """One table of one publication."""

    schema_version: Literal[1] = 1
    name: Key
    suite: Key
    title: Label
    model: Text
    source: Source
    caveats: Annotated[list[Text], Field(max_length=8)]
    metrics: dict[Key, ReportedMetric]
    attacks: Annotated[list[AttackName], Field(min_length=1, max_length=16)]
    rows: Annotated[list[ReportedRow], Field(min_length=1, max_length=400)]

    @model_validator(mode="after")
    def _declared(self) -> Reported:
        for i, row in enumerate(self.rows):
            for metric, cells in row.values.items():
                if metric not in self.metrics or not set(cells) <= set(self.attacks):
                    raise ValueError(f"rows.{i}.values: {metric!r} or one of its attacks is not declared")
        return self


def read_reported(path: Path) -> Reported:
    """Read one table.

    Raises:
        RecordError: it is not valid.
    """
    try:
        return Reported.model_validate(loads(read_bytes(path, _MAX_BYTES), str(path)))
    except ValidationError as error:
        raise RecordError(explain(error, str(path))) from error
