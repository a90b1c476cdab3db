"""The submission record, schema version 1: one immutable JSON file per evaluated model.

Everything that identifies a submission is hashed into `submission_id`; scores are derived and live elsewhere, and what
maintainers decide about a row lives in `events`. Values are fractions in [0, 1] (signed where the metric is); unknown
is null, never 0.
"""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from .attack_id import AttackId
from .field_types import (
    AttackName,
    Count,
    Dtype,
    FileName,
    Key,
    Label,
    ModelName,
    Options,
    Revision,
    Seed,
    Sha256,
    Strict,
    Text,
    Url,
    Utc,
)
from .strict_json import pretty

__all__ = [
    "SCHEMA_VERSION",
    "Attack",
    "DataRef",
    "Environment",
    "File",
    "ItemFile",
    "Kind",
    "Method",
    "MetricSpec",
    "Model",
    "Record",
    "Result",
    "Suite",
    "Task",
    "run_id",
]

SCHEMA_VERSION = 1

_DEVICES = frozenset({"aux", "con", "nul", "prn", *(f"{port}{i}" for port in ("com", "lpt") for i in range(10))})


Kind = Literal["unlearned", "target", "retrain", "null", "never_saw", "dose", "hider"]
"""What a model is, see `Model`."""


class File(Strict):
    """Content of one file."""

    sha256: Sha256
    bytes: Count


class Model(Strict):
    """What was evaluated.

    Attributes:
        name: name of the hub repository or of the local folder.
        source: whether `name` is a hub repository or a local folder.
        kind: "target" and "retrain" for the anchors; controls whose past is known: "null" for a model that knows nothing by
            construction, "never_saw" for another retrain model, "dose" for one that learned a share of the forget text,
            "hider" for one that saw it all and was built to look otherwise.
        fingerprint: the harness's hash of the weights in memory, or None.
        weights: safetensors file → content.
        adapter: hub repository or folder of an adapter that was merged, with `base` beneath it.
    """

    name: ModelName
    source: Literal["hub", "local"]
    revision: Revision | None = None
    kind: Kind = "unlearned"
    format: Literal["safetensors"] = "safetensors"
    weights: Annotated[dict[FileName, File], Field(max_length=400)]
    fingerprint: Label | None = None
    dtype: Dtype | None = None
    parameters: Count | None = None
    tokenizer: Sha256 | None = None
    adapter: ModelName | None = None
    base: ModelName | None = None


class DataRef(Strict):
    """A corpus by name and content hash."""

    name: Label
    sha256: Sha256 | None = None


class Method(Strict):
    """How the model was unlearned, as its author says.

    Attributes:
        objective: registry name of the forget loss, or "other"; None for a model that was not unlearned.
        optimizer: registry name, or "other".
        tuning_trials: how many configurations were tried before this one was chosen.
        selected_on: what the choice was based on ("retain", "forget after relearn50", …).
        forward: model forward passes spent.
        backward: model backward passes spent.
        defends_against: attacks that the method was trained to withstand.
    """

    name: Label | None = None
    objective: Key | None = None
    optimizer: Key | None = None
    hyperparameters: Options = Field(default_factory=dict)
    precision: Label | None = None
    seeds: Annotated[list[int], Field(max_length=64)] = Field(default_factory=list)
    forget: DataRef | None = None
    retain: DataRef | None = None
    tuning_trials: Count | None = None
    selected_on: Text | None = None
    forward: Count | None = None
    backward: Count | None = None
    defends_against: Annotated[list[Label], Field(max_length=32)] = Field(default_factory=list)
    code_url: Url | None = None
    code_commit: Label | None = None
    paper: Url | None = None


class MetricSpec(Strict):
    """How one metric is read and how its items become its value.

    Attributes:
        role: "forget" for what the model says of the forget text, "holds" for what its likelihoods show of it.
        aggregate: "mean" of the items; "harmonic_mean" of the means of their components; "familiarity" of the means of
            their sides, see `metrics.membership`; "other" is not resampled.
        floor: value of a model that knows nothing.
    """

    role: Literal["forget", "holds", "utility", "privacy", "report"]
    higher_means: Literal["more_knowledge", "less_knowledge", "more_utility"]
    aggregate: Literal["mean", "harmonic_mean", "familiarity", "other"]
    floor: float = 0.0


class ItemFile(Strict):
    """A JSONL file beside the record, one document a line."""

    file: FileName
    sha256: Sha256
    bytes: Count


class Task(Strict):
    """One task of the suite: `n` documents, their item file and metrics."""

    version: Label | None = None
    n: Count
    metrics: Annotated[dict[Key, MetricSpec], Field(min_length=1, max_length=40)]
    items: ItemFile | None = None


class Suite(Strict):
    """The suite that was run, in full: `limit` is always null."""

    name: Key
    version: Label
    limit: None = None
    tasks: Annotated[dict[Key, Task], Field(min_length=1, max_length=200)]

    @model_validator(mode="after")
    def _files(self) -> Suite:
        """Each item file is called like its task, which is a file name of its own on every system."""
        for name, task in self.tasks.items():
            if task.items is not None and task.items.file != f"{name}.jsonl":
                raise ValueError(f"tasks.{name}.items.file = {task.items.file!r}: the file is called {name}.jsonl")
            if name.split(".")[0].lower() in _DEVICES:
                raise ValueError(f"tasks.{name}: the name of a device on some systems, no file can have it")
        if twins := [name for name, count in Counter(name.lower() for name in self.tasks).items() if count > 1]:
            raise ValueError(f"tasks: several differ from {twins[0]!r} in upper and lower case alone")
        return self


class Attack(Strict):
    """One attack as it was carried out.

    Attributes:
        name: name of the attack as in task names, without its seed.
        seed: seed of the randomness of the attack.
        digest: the harness's hash of `config`.
        config: every parameter of every step.
        diagnostics: what each step reported about itself; `flags` holds warnings.
        weight_change: relative change of all weights in the L2 norm.
    """

    name: AttackName
    seed: Seed = 0
    digest: Label | None = None
    config: Annotated[list[Options], Field(max_length=8)]
    diagnostics: Annotated[list[Options], Field(max_length=8)] = Field(default_factory=list)
    weight_change: float | None = None
    seconds: Annotated[float, Field(ge=0)] | None = None

    @property
    def id(self) -> AttackId:
        """What the attack is, whatever its seed."""
        return AttackId.of(self.name, self.config)

    @property
    def flags(self) -> list[str]:
        """The warnings that its steps reported."""
        lists = [step.get("flags") for step in self.diagnostics]
        return [str(flag) for flags in lists if isinstance(flags, list) for flag in flags]


class Result(Strict):
    """One number: a metric of a task under an attack.

    Attributes:
        value: in [0, 1] for forget and utility metrics; null when it is undefined.
        n: documents that were scored.
    """

    task: Key
    metric: Key
    attack: AttackName
    seed: Seed = 0
    value: float | None
    n: Count


class Environment(Strict):
    """What the numbers were measured with."""

    package: Label | None = None
    lm_eval: Label | None = None
    torch: Label | None = None
    transformers: Label | None = None
    python: Label | None = None
    device: Label | None = None
    parallelism: Label | None = None
    attention: Label | None = None
    batch_size: Label | None = None
    git_commit: Label | None = None
    git_dirty: bool | None = None


class Record(Strict):
    """A submission; see the modules `build` for how one is made and `validate` for what is checked."""

    schema_version: Literal[1] = 1
    submission_id: Annotated[str, StringConstraints(pattern=r"^rub1-[0-9a-f]{32}$")]
    display_name: Label
    submitted_at: Utc
    relationship: Literal["author", "third_party", "maintainer"]
    model: Model
    method: Method
    suite: Suite
    attacks: Annotated[list[Attack], Field(min_length=1, max_length=100)]
    results: Annotated[list[Result], Field(min_length=1, max_length=4000)]
    environment: Environment = Field(default_factory=Environment)

    @model_validator(mode="after")
    def _cells(self) -> Record:
        """Each cell once, about a task, metric and attack that are declared, with a value its role allows."""
        runs = [(a.name, a.seed) for a in self.attacks]
        if len(declared := set(runs)) < len(runs):
            twice = next(run for run, count in Counter(runs).items() if count > 1)
            raise ValueError(f"attacks: {run_id(*twice)} is declared twice")
        seen: set[tuple[str, str, str, int]] = set()
        for i, cell in enumerate(self.results):
            task = self.suite.tasks.get(cell.task)
            spec = task.metrics.get(cell.metric) if task else None
            key = (cell.task, cell.metric, cell.attack, cell.seed)
            if task is None or spec is None:
                raise ValueError(f"results.{i}: suite.tasks declares no metric {cell.metric!r} of task {cell.task!r}")
            if (cell.attack, cell.seed) not in declared:
                raise ValueError(f"results.{i}: attacks declares no {run_id(cell.attack, cell.seed)!r}")
            if key in seen:
                raise ValueError(f"results.{i}: the cell {' '.join(map(str, key))} occurs twice")
            if cell.n > task.n:
                raise ValueError(f"results.{i}.n = {cell.n}: task {cell.task!r} has {task.n} documents")
            if cell.value is not None and spec.role in ("forget", "utility") and not 0 <= cell.value <= 1:
                raise ValueError(f"results.{i}.value = {cell.value}: {spec.role} metrics lie in [0, 1]")
            seen.add(key)
        return self

    @property
    def runs(self) -> dict[str, Attack]:
        """Run id → attack, in the order of the record."""
        return {run_id(a.name, a.seed): a for a in self.attacks}

    def json_bytes(self) -> bytes:
        """The file's content."""
        return pretty(self.model_dump(mode="json"))


def run_id(attack: str, seed: int) -> str:
    """Name of one run of an attack in item files and tables: "relearn50" for seed 0, "relearn50#1" for seed 1."""
    return attack if seed == 0 else f"{attack}#{seed}"
