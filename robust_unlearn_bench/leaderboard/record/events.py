"""What maintainers decided about a row: an append-only file of events, one JSON object a line.

Records never change; `leaderboard/events/<submission_id>.jsonl` says how far a row was checked and whether it stands.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from ...errors import RecordError
from .field_types import Label, Strict, Text, Utc, explain, utc_now
from .strict_json import canonical, read_bytes, read_lines

__all__ = ["STATES", "TIERS", "Event", "Standing", "append_event", "read_standing"]

Tier = Literal["self_reported", "recomputed", "replayed"]
State = Literal["active", "quarantined", "withdrawn", "superseded"]

TIERS: tuple[Tier, ...] = ("self_reported", "recomputed", "replayed")
"""How far a row was checked, weakest first: as submitted, recomputed from the submitted items, run again by maintainers."""

STATES: tuple[State, ...] = ("active", "quarantined", "withdrawn", "superseded")
"""Only active rows are ranked; the others stay visible."""

_MAX_EVENTS_BYTES = 1024 * 1024


class Event(Strict):
    """One decision. At least one of tier and state is set."""

    at: Utc
    by: Label
    reason: Text
    tier: Tier | None = None
    state: State | None = None


class _Log(Strict):
    events: Annotated[list[Event], Field(max_length=1000)]


@dataclass(frozen=True, slots=True)
class Standing:
    """What the events of one row add up to: the last tier and the last state named."""

    tier: Tier = "self_reported"
    state: State = "active"
    events: tuple[Event, ...] = ()

    @property
    def ranked(self) -> bool:
        """Whether the row may be ranked: active, and its numbers recomputed from its items."""
        return self.state == "active" and self.tier != "self_reported"

    @property
    def reason(self) -> str | None:
        """Why the state is what it is."""
        return next((event.reason for event in reversed(self.events) if event.state is not None), None)


def read_standing(path: Path) -> Standing:
    """Read the standing of a row from its event file; without a file the row is unchecked and active.

    Raises:
        RecordError: a line is not an event.
    """
    if not path.exists():
        return Standing()
    try:
        log = _Log.model_validate({"events": list(read_lines(read_bytes(path, _MAX_EVENTS_BYTES), str(path)))})
    except ValidationError as error:
        raise RecordError(explain(error, str(path))) from error
    tier: Tier = "self_reported"
    state: State = "active"
    for event in log.events:
        tier, state = event.tier or tier, event.state or state
    return Standing(tier, state, tuple(log.events))


def append_event(
    path: Path, *, by: str, reason: str, tier: Tier | None = None, state: State | None = None, at: str | None = None
) -> Event:
    """Add one event to the end of the file.

    Raises:
        RecordError: neither tier nor state is given, or a field breaks the schema.
    """
    if tier is None and state is None:
        raise RecordError(f"{path}: an event sets a tier or a state; give one")
    try:
        event = Event(at=at or utc_now(), by=by, reason=reason, tier=tier, state=state)
    except ValidationError as error:
        raise RecordError(explain(error, str(path))) from error
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write(canonical(event.model_dump(mode="json", exclude_none=True)) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    return event
