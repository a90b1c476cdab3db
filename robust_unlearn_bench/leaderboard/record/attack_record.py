"""The record of an attack that somebody found on one model, schema version 1: what it is, how it was found, what it does.

The numbers behind it are ordinary records of the model, the target and the retrain model, unattacked and under the
attack, which lie beside it and are named by their ids; see `attack_entry`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, ValidationError, model_validator

from ...errors import RecordError
from .field_types import Count, Key, Label, Seed, Strict, Text, Utc, explain
from .schema import Attack, Environment
from .sealing import MAX_RECORD_BYTES, identity
from .strict_json import loads, pretty, read_bytes

__all__ = [
    "AttackRecord",
    "Attacked",
    "Leaked",
    "Measured",
    "Search",
    "Span",
    "Trial",
    "parse_attack",
    "read_attack",
    "seal_attack",
]

Share = Annotated[float, Field(ge=0, le=1)]
Spec = Annotated[str, StringConstraints(min_length=1, max_length=1200, pattern=r"^[ -~]+$")]
RecordId = Annotated[str, StringConstraints(pattern=r"^rub1-[0-9a-f]{32}$")]


class Span(Strict):
    """A value with its 95 % interval; null where it is undefined."""

    value: float | None
    low: float | None = None
    high: float | None = None


class Attacked(Strict):
    """The model that was attacked.

    Attributes:
        name: name of the hub repository or of the local folder.
        fingerprint: the harness's hash of the weights in memory.
        suite: suite whose forget metrics are elicited.
        suite_version: its version.
    """

    name: Label
    fingerprint: Label
    suite: Key
    suite_version: Label


class Trial(Strict):
    """One attack that was tried.

    Attributes:
        attack: its spec with every parameter that was chosen.
        outcome: "kept" within the utility bound, "costly" beyond it, "failed" when it could not be carried out.
        leakage: largest leakage of a forget metric on the half of the clusters that selects; null when no metric still
            separates target and retrain model under the attack, and for costly and failed trials.
        utility: share of the unattacked model's utility that is left; null for a failed trial.
        reason: why it failed, or why it has no leakage.
        steps: optimizer steps.
        seconds: duration on all models together.
    """

    attack: Spec
    outcome: Literal["kept", "costly", "failed"]
    leakage: float | None = None
    utility: Share | None = None
    reason: Text | None = None
    steps: Count = 0
    seconds: Annotated[float, Field(ge=0)] = 0.0


class Search(Strict):
    """How the attack was found.

    Attributes:
        sampler: algorithm and version that proposed the trials.
        seed: seed of the sampler.
        space: the search space, as parameter → bounds or choices.
        most_lost: largest share of utility that an attack may cost.
        trials: every trial, in the order in which they were proposed.
    """

    sampler: Label
    seed: Seed
    space: Annotated[dict[Key, Annotated[list[float | int | Label], Field(max_length=32)]], Field(max_length=40)]
    most_lost: Share
    trials: Annotated[list[Trial], Field(min_length=1, max_length=2000)]


class Leaked(Strict):
    """One forget metric under the attack, on the half of the clusters that did not select it.

    Attributes:
        model: x(θ, a).
        retrain: x(G, a).
        target: x(T, none).
        leakage: (x(θ, a) − x(G, a)) / (x(T, none) − x(G, a)).
        counts: whether target and retrain model are clearly apart, and the retrain model has not learnt the text itself.
        chosen: whether it is the metric that the search maximised on the other half.
    """

    task: Key
    metric: Key
    model: float | None
    retrain: float | None
    target: float | None
    leakage: Span
    counts: bool
    chosen: bool = False


class Measured(Strict):
    """Ids of the records of the three models, unattacked and under the attack."""

    model: RecordId
    target: RecordId
    retrain: RecordId


class AttackRecord(Strict):
    """An attack found on one model, with everything needed to run it again.

    Attributes:
        attack: the attack, as in a submission.
        spec: the attack as text, with every parameter.
        search: how it was found; null for an attack written by hand.
        leaked: every forget metric.
        utility: share of the unattacked model's utility that is left, on all documents.
    """

    schema_version: Literal[1] = 1
    kind: Literal["attack"] = "attack"
    attack_id: Annotated[str, StringConstraints(pattern=r"^rua1-[0-9a-f]{32}$")]
    found_at: Utc
    on: Attacked
    attack: Attack
    spec: Spec
    search: Search | None = None
    leaked: Annotated[list[Leaked], Field(min_length=1, max_length=80)]
    utility: Span
    measured: Measured
    environment: Environment = Field(default_factory=Environment)

    @model_validator(mode="after")
    def _one_choice(self) -> AttackRecord:
        """One metric at most was chosen, and each is given once."""
        names = [(one.task, one.metric) for one in self.leaked]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"leaked: {' '.join(twice)} occurs twice")
        if sum(one.chosen for one in self.leaked) > 1:
            raise ValueError("leaked: more than one metric is chosen")
        return self

    @property
    def headline(self) -> Leaked | None:
        """The metric that the search maximised, or None."""
        return next((one for one in self.leaked if one.chosen), None)

    def json_bytes(self) -> bytes:
        """The file's content."""
        return pretty(self.model_dump(mode="json"))


def seal_attack(**fields: Any) -> AttackRecord:
    """Build a record and give it the id that its content has.

    Raises:
        RecordError: a field breaks the schema, or the file would be too large.
    """
    draft = _validated({**fields, "attack_id": "rua1-" + "0" * 32}, "attack").model_dump(mode="json")
    raw = pretty({**draft, "attack_id": _id(draft)})
    if len(raw) > MAX_RECORD_BYTES:
        raise RecordError(f"attack: {len(raw):,} bytes, at most {MAX_RECORD_BYTES:,} are read; run fewer trials")
    return parse_attack(raw, "attack")


def parse_attack(raw: bytes, where: str) -> AttackRecord:
    """Parse, validate and check the id.

    Raises:
        RecordError: anything is wrong; the message names field, value and rule.
    """
    value = loads(raw, where)
    if not isinstance(value, dict) or value.get("kind") != "attack":
        raise RecordError(f"{where}: not the record of an attack; `rub attack search` writes one")
    record = _validated(value, where)
    if record.attack_id != (expected := _id(record.model_dump(mode="json"))):
        raise RecordError(
            f"{where}: attack_id = {record.attack_id} but the content hashes to {expected}; "
            "records are immutable: search again instead of editing"
        )
    return record


def read_attack(path: Path) -> AttackRecord:
    """Read one record file.

    Raises:
        RecordError: the file is too large, a link, or not a valid record.
    """
    return parse_attack(read_bytes(path, MAX_RECORD_BYTES), str(path))


def _id(fields: dict[str, Any]) -> str:
    return identity(fields, "rua1", "attack_id")


def _validated(value: dict[str, Any], where: str) -> AttackRecord:
    try:
        return AttackRecord.model_validate(value)
    except ValidationError as error:
        raise RecordError(explain(error, where)) from error
